-- Who works with a machine hears that what it sends is no longer what its model learned from: once, until it is over.
CREATE TABLE servitize.drift_notice (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    model        text NOT NULL,
    version      int NOT NULL,
    since        timestamptz NOT NULL,
    at           timestamptz NOT NULL,
    index        float8 NOT NULL,
    points       jsonb NOT NULL DEFAULT '{}',
    cleared_at   timestamptz,
    PRIMARY KEY (equipment_id, model)
);
COMMENT ON TABLE servitize.drift_notice IS 'One per machine and model that speaks: drift that was told; it stands until a window without it.';
COMMENT ON COLUMN servitize.drift_notice.since IS 'Beginning of the first window past the edge.';
COMMENT ON COLUMN servitize.drift_notice.at IS 'End of the last window looked at.';

ALTER TABLE servitize.drift_notice ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.drift_notice TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
CREATE POLICY mine ON servitize.drift_notice FOR SELECT TO servitize_api, servitize_board
    USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m WHERE m.rights = 'manage'));
GRANT SELECT ON servitize.drift_notice TO servitize_api, servitize_board, servitize_writer;

-- A window of a champion was stored. Raised when it is past the edge and nothing stands, or what stands is of another version; over with
-- the first window that is not. Told are those who manage the machine, each tenant on a line of its own: who leases it (read, operate) is not. A window
-- that comes behind one that was looked at changes nothing.
CREATE FUNCTION servitize.tell_drift() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was      servitize.drift_notice;
    happened text;
    worst    text;
BEGIN
    SELECT * INTO was FROM servitize.drift_notice n WHERE n.equipment_id = NEW.equipment_id AND n.model = NEW.model FOR UPDATE;
    IF (was.equipment_id IS NULL AND NOT NEW.drifted) OR NEW.at <= was.at THEN
        RETURN NULL;
    END IF;
    happened := CASE WHEN NEW.drifted AND (was.equipment_id IS NULL OR was.cleared_at IS NOT NULL OR was.version <> NEW.version) THEN 'drifted'
                     WHEN NOT NEW.drifted AND was.cleared_at IS NULL THEN 'over' END;
    INSERT INTO servitize.drift_notice AS n (equipment_id, model, version, since, at, index, points)
    VALUES (NEW.equipment_id, NEW.model, NEW.version, NEW.since, NEW.at, NEW.index, NEW.points)
    ON CONFLICT (equipment_id, model) DO UPDATE
       SET version = excluded.version, at = excluded.at, index = excluded.index, points = excluded.points,
           since = CASE WHEN happened = 'drifted' THEN excluded.since ELSE n.since END,
           cleared_at = CASE WHEN happened = 'drifted' THEN NULL WHEN happened = 'over' THEN excluded.at ELSE n.cleared_at END;
    IF happened IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT p.key INTO worst FROM jsonb_each_text(NEW.points) p ORDER BY p.value::float8 DESC, p.key LIMIT 1;
    -- no equipment in the row: it would be seen by whoever sees the machine
    INSERT INTO servitize.outbox (tenant_id, kind, payload)
    SELECT DISTINCT v.tenant_id, 'model_drift', jsonb_build_object(
               'subject', format('drift/%s/%s', NEW.model, e.id), 'open', happened = 'drifted', 'event', happened, 'equipment', e.key,
               'equipment_id', e.id, 'model', NEW.model, 'version', NEW.version, 'index', NEW.index, 'points', NEW.points,
               'since', servitize.to_us(NEW.since), 'at', servitize.to_us(NEW.at),
               'title', CASE happened WHEN 'drifted' THEN format('%s sends something else than %s@%s learned from, %s most', e.name, NEW.model,
                                                                 NEW.version, coalesce(worst, 'one point'))
                             ELSE format('%s sends again what %s@%s learned from', e.name, NEW.model, NEW.version) END)
           || CASE happened WHEN 'drifted' THEN jsonb_build_object(
               'action', 'Trust what this model says of the machine less. Look whether the sensor or the way it is driven has changed; if it stays so, '
                         'learn the model anew and let it be scored beside this one') ELSE '{}' END
      FROM servitize.equipment e
      JOIN servitize.visible_equipment v ON v.equipment_id = e.id AND v.rights = 'manage'
     WHERE e.id = NEW.equipment_id;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION servitize.tell_drift() FROM PUBLIC;
CREATE TRIGGER told AFTER INSERT ON servitize.model_drift FOR EACH ROW WHEN (NEW.champion) EXECUTE FUNCTION servitize.tell_drift();
