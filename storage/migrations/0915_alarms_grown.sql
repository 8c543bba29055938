-- Alarms, grown: what an organisation wants otherwise than the type says (latching, priority), who wanted it and why; and which alarms cost most.

CREATE TABLE servitize.alarm_definition (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    condition    text NOT NULL,
    latching     boolean,
    priority     text CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    reason       text NOT NULL CHECK (reason <> ''),
    revision     int NOT NULL DEFAULT 1,
    changed_by   text NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (equipment_id, condition)
);
COMMENT ON TABLE servitize.alarm_definition IS 'Over what the type says; NULL: as the type says.';
ALTER TABLE servitize.alarm_definition ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.alarm_definition TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
CREATE POLICY mine ON servitize.alarm_definition FOR SELECT TO servitize_api, servitize_board
    USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m));
GRANT SELECT ON servitize.alarm_definition TO servitize_writer, servitize_api, servitize_board;

-- Whatever a processor brings, the definition has the last word; before the reducer looks, so that rule and message follow it.
CREATE FUNCTION servitize.as_defined() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d servitize.alarm_definition;
BEGIN
    SELECT * INTO d FROM servitize.alarm_definition x WHERE x.equipment_id = NEW.equipment_id AND x.condition = NEW.condition;
    IF FOUND THEN
        NEW.latching := coalesce(d.latching, NEW.latching);
        NEW.priority := coalesce(d.priority, NEW.priority);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER as_defined BEFORE INSERT OR UPDATE ON servitize.alarm FOR EACH ROW EXECUTE FUNCTION servitize.as_defined();

-- The tenant's door; needs the right to manage the equipment. An alarm that latches no more and waits to be reset is left to be reset.
CREATE FUNCTION servitize.define_alarm(wanted bigint, to_latch boolean, to_priority text, why text, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a       servitize.alarm;
    renewed int;
BEGIN
    SELECT * INTO a FROM servitize.alarm x WHERE x.id = wanted AND servitize.may(x.equipment_id, 'read') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such alarm, or it is not yours to see' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(a.equipment_id, 'manage') THEN
        RAISE EXCEPTION 'your right to this equipment does not include that' USING ERRCODE = 'SV403';
    END IF;
    INSERT INTO servitize.alarm_definition AS d (equipment_id, condition, latching, priority, reason, changed_by)
    VALUES (a.equipment_id, a.condition, to_latch, to_priority, why, who)
    ON CONFLICT (equipment_id, condition) DO UPDATE
       SET latching = excluded.latching, priority = excluded.priority, reason = excluded.reason, changed_by = excluded.changed_by,
           changed_at = now(), revision = d.revision + 1
    RETURNING d.revision INTO renewed;
    UPDATE servitize.alarm x
       SET latching = coalesce(to_latch, (
               SELECT (t.detail->>'latching')::boolean FROM servitize.condition_transition t
                WHERE t.equipment_id = a.equipment_id AND t.condition = a.condition AND t.change = 'raised' ORDER BY t.at DESC LIMIT 1), false),
           priority = coalesce(to_priority, (
               SELECT t.priority FROM servitize.condition_transition t
                WHERE t.equipment_id = a.equipment_id AND t.condition = a.condition AND t.change = 'raised' ORDER BY t.at DESC LIMIT 1), x.priority)
     WHERE x.id = wanted;
    RETURN renewed;
END $$;
GRANT EXECUTE ON FUNCTION servitize.define_alarm TO servitize_api;
