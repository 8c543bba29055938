-- An inspection of another organisation's and one that never was are the same to whoever asks.
CREATE OR REPLACE FUNCTION servitize.stop_inspection(plan int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about int;
BEGIN
    SELECT i.equipment_id INTO about FROM servitize.inspection_plan i
     WHERE i.id = plan AND i.stopped_at IS NULL AND servitize.may(i.equipment_id, 'read');
    IF about IS NULL THEN
        RAISE EXCEPTION 'there is no such inspection, or it was stopped' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.require_operate(about);
    UPDATE servitize.inspection_plan i SET stopped_at = clock_timestamp() WHERE i.id = plan;
END $$;
