-- An inspection may take waveforms too: each round asks the device for its channels, and what answers is the report's.
ALTER TABLE servitize.inspection_plan ADD COLUMN channels text[] NOT NULL DEFAULT '{}' CHECK (cardinality(channels) <= 20);
COMMENT ON COLUMN servitize.inspection_plan.channels IS 'Of a waveform that each round asks for; none: no waveform.';
ALTER TABLE servitize.inspection_report ADD COLUMN capture_id bigint REFERENCES servitize.capture_request;

CREATE FUNCTION servitize.ask_waveform_of_round() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO servitize.capture_request AS r (equipment_id, channels, seconds, reason, requested_by)
    SELECT p.equipment_id, p.channels, 1.6, p.title, 'inspection' FROM servitize.inspection_plan p
     WHERE p.id = NEW.plan_id AND cardinality(p.channels) > 0
    RETURNING r.id INTO NEW.capture_id;
    IF NEW.capture_id IS NOT NULL THEN
        PERFORM pg_notify('servitize_capture', NEW.capture_id::text);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ask_waveform BEFORE INSERT ON servitize.inspection_report FOR EACH ROW EXECUTE FUNCTION servitize.ask_waveform_of_round();

DROP FUNCTION servitize.plan_inspection(int, text, text[], interval, interval, float8, interval, text, text);
CREATE FUNCTION servitize.plan_inspection(
    equipment int, called text, of_points text[], how_often interval, compared interval, deviations float8, oldest interval, with_command text,
    with_channels text[], who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made int;
    odd  text;
BEGIN
    PERFORM servitize.require_operate(equipment);
    SELECT w INTO odd FROM unnest(of_points) w
     WHERE NOT EXISTS (SELECT FROM servitize.point p WHERE p.equipment_id = equipment AND p.key = w) LIMIT 1;
    IF odd IS NOT NULL THEN
        RAISE EXCEPTION 'the machine has no point %', quote_literal(odd) USING ERRCODE = 'SV400';
    END IF;
    INSERT INTO servitize.inspection_plan (equipment_id, title, points, every, baseline, tolerance, max_age, capture, channels, made_by)
    VALUES (equipment, called, of_points, how_often, compared, deviations, oldest, with_command, with_channels, who) RETURNING id INTO made;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION servitize.plan_inspection FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.plan_inspection TO servitize_api;
