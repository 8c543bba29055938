-- Commands to machines, and what a machine is wanted and says to be (its twin). People, timers, the broker's acknowledgement and the device's
-- receipts each bring an event; the state is reduced here, under a row lock, by the rows of command_rule.

CREATE TABLE servitize.command_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    next_state text NOT NULL,
    dispatched boolean
);
CREATE UNIQUE INDEX command_rule_step ON servitize.command_rule (state, event, (coalesce(dispatched::text, '')));
COMMENT ON TABLE servitize.command_rule IS 'core.command.COMMAND_TRANSITIONS; a test holds the two equal.';
INSERT INTO servitize.command_rule (state, event, next_state, dispatched) VALUES
    ('requested', 'approve', 'approved', NULL),
    ('requested', 'cancel', 'cancelled', NULL),
    ('requested', 'block', 'rejected', NULL),
    ('requested', 'expire', 'expired', NULL),
    ('approved', 'cancel', 'cancelled', false),
    ('approved', 'block', 'rejected', false),
    ('approved', 'dispatch', 'approved', NULL),
    ('approved', 'acknowledged', 'sent', true),
    ('approved', 'expire', 'expired', NULL),
    ('sent', 'expire', 'expired', NULL),
    ('delivered', 'expire', 'expired', NULL),
    ('executing', 'expire', 'expired', NULL),
    ('sent', 'acknowledged', 'sent', true),
    ('delivered', 'acknowledged', 'delivered', true),
    ('executing', 'acknowledged', 'executing', true),
    ('sent', 'dispatch', 'sent', true),
    ('delivered', 'dispatch', 'delivered', true),
    ('executing', 'dispatch', 'executing', true),
    ('approved', 'received', 'delivered', true),
    ('approved', 'started', 'executing', true),
    ('approved', 'done', 'succeeded', true),
    ('approved', 'broken', 'failed', true),
    ('approved', 'refused', 'rejected', true),
    ('sent', 'received', 'delivered', true),
    ('sent', 'started', 'executing', true),
    ('sent', 'done', 'succeeded', true),
    ('sent', 'broken', 'failed', true),
    ('sent', 'refused', 'rejected', true),
    ('delivered', 'received', 'delivered', true),
    ('delivered', 'started', 'executing', true),
    ('delivered', 'done', 'succeeded', true),
    ('delivered', 'broken', 'failed', true),
    ('delivered', 'refused', 'rejected', true),
    ('executing', 'received', 'executing', true),
    ('executing', 'started', 'executing', true),
    ('executing', 'done', 'succeeded', true),
    ('executing', 'broken', 'failed', true),
    ('executing', 'refused', 'rejected', true),
    ('expired', 'done', 'succeeded', true),
    ('expired', 'broken', 'failed', true),
    ('expired', 'refused', 'rejected', true),
    ('expired', 'received', 'expired', true),
    ('expired', 'started', 'expired', true),
    ('expired', 'acknowledged', 'expired', true),
    ('succeeded', 'received', 'succeeded', true),
    ('succeeded', 'started', 'succeeded', true),
    ('succeeded', 'done', 'succeeded', true),
    ('succeeded', 'broken', 'succeeded', true),
    ('succeeded', 'refused', 'succeeded', true),
    ('succeeded', 'acknowledged', 'succeeded', true),
    ('failed', 'received', 'failed', true),
    ('failed', 'started', 'failed', true),
    ('failed', 'done', 'failed', true),
    ('failed', 'broken', 'failed', true),
    ('failed', 'refused', 'failed', true),
    ('failed', 'acknowledged', 'failed', true),
    ('rejected', 'received', 'rejected', true),
    ('rejected', 'started', 'rejected', true),
    ('rejected', 'done', 'rejected', true),
    ('rejected', 'broken', 'rejected', true),
    ('rejected', 'refused', 'rejected', true),
    ('rejected', 'acknowledged', 'rejected', true);

CREATE TABLE servitize.command (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    key           text NOT NULL,
    title         text NOT NULL,
    class         text NOT NULL CHECK (class IN ('read', 'adjust', 'start_stop', 'safety')),
    parameters    jsonb NOT NULL DEFAULT '{}',
    interlocks    jsonb NOT NULL DEFAULT '[]',
    state         text NOT NULL DEFAULT 'requested',
    approvals     int NOT NULL DEFAULT 0,
    needed        int NOT NULL CHECK (needed >= 0),
    requested_by  text NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason        text NOT NULL DEFAULT '',
    expires_at    timestamptz NOT NULL,
    dispatched_at timestamptz,
    blocked       text,
    result        jsonb,
    changed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (expires_at > requested_at)
);
COMMENT ON COLUMN servitize.command.dispatched_at IS 'From then on it may have reached the machine, whatever happened to us; before, no receipt proves anything.';
CREATE INDEX command_open ON servitize.command (expires_at) WHERE state IN ('requested', 'approved', 'sent', 'delivered', 'executing');
CREATE INDEX command_equipment ON servitize.command (equipment_id, id);

CREATE TABLE servitize.command_step (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command_id   bigint NOT NULL REFERENCES servitize.command,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    event        text NOT NULL,
    actor        text NOT NULL,
    from_state   text,
    to_state     text NOT NULL,
    note         text NOT NULL DEFAULT '',
    detail       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX command_step_command ON servitize.command_step (command_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.command_step
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

CREATE TABLE servitize.emergency_inhibit (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    int NOT NULL REFERENCES servitize.tenant,
    equipment_id int REFERENCES servitize.equipment,
    reason       text NOT NULL CHECK (reason <> ''),
    set_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    set_by       text NOT NULL,
    lifted_at    timestamptz,
    lifted_by    text
);
COMMENT ON TABLE servitize.emergency_inhibit IS 'While one stands nothing but reading goes out, to the machine or (equipment_id NULL) to any machine of the tenant.';

CREATE TABLE servitize.site_permit (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    valid_from   timestamptz NOT NULL DEFAULT clock_timestamp(),
    valid_until  timestamptz NOT NULL,
    given_by     text NOT NULL,
    note         text NOT NULL DEFAULT '',
    CHECK (valid_until > valid_from)
);
COMMENT ON TABLE servitize.site_permit IS 'Who stands at the machine lets others act on it, until then. Asked for where the equipment''s attribute remote_permit says "required".';

CREATE TABLE servitize.twin_property (
    equipment_id     int NOT NULL REFERENCES servitize.equipment,
    key              text NOT NULL,
    desired          jsonb,
    desired_version  int NOT NULL DEFAULT 0,
    desired_at       timestamptz,
    desired_by       text,
    reported         jsonb,
    reported_version int,
    reported_at      timestamptz,
    PRIMARY KEY (equipment_id, key)
);
COMMENT ON COLUMN servitize.twin_property.reported_version IS 'The desired version that the device says it has taken over; NULL: it has said none.';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['command_rule', 'command', 'command_step', 'emergency_inhibit', 'site_permit', 'twin_property']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api, servitize_board', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['command', 'command_step', 'site_permit', 'twin_property']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
    END LOOP;
END $$;
CREATE POLICY everybody ON servitize.command_rule FOR SELECT TO servitize_api, servitize_board USING (true);
CREATE POLICY mine ON servitize.emergency_inhibit FOR SELECT TO servitize_api, servitize_board
    USING (tenant_id = (SELECT servitize.current_tenant()) OR equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m));

-- One step, whoever brings it. Journals always; SV409 where the table has no such step.
CREATE FUNCTION servitize.apply_command_event(
    command bigint, happened text, who text, said text DEFAULT '', facts jsonb DEFAULT '{}') RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c     servitize.command;
    after text;
BEGIN
    SELECT * INTO c FROM servitize.command x WHERE x.id = command FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such command' USING ERRCODE = 'SV404';
    END IF;
    SELECT r.next_state INTO after FROM servitize.command_rule r
     WHERE r.state = c.state AND r.event = happened AND (r.dispatched IS NULL OR r.dispatched = (c.dispatched_at IS NOT NULL));
    IF after IS NULL THEN
        RAISE EXCEPTION 'a command that is % does not allow %', c.state, happened USING ERRCODE = 'SV409', HINT = 'read it again';
    END IF;
    UPDATE servitize.command x
       SET state = after,
           dispatched_at = CASE WHEN happened = 'dispatch' THEN coalesce(x.dispatched_at, clock_timestamp()) ELSE x.dispatched_at END,
           blocked = CASE WHEN happened = 'block' THEN said ELSE x.blocked END,
           result = CASE WHEN happened IN ('done', 'broken', 'refused') AND x.state <> after THEN facts ELSE x.result END,
           changed_at = clock_timestamp()
     WHERE x.id = c.id;
    INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, from_state, to_state, note, detail)
    VALUES (c.id, c.equipment_id, happened, who, c.state, after, coalesce(said, ''), coalesce(facts, '{}'));
    IF after <> c.state THEN
        INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
        SELECT e.tenant_id, e.id, 'command',
               jsonb_build_object('subject', format('command/%s', c.id), 'open', after IN ('requested', 'approved', 'sent', 'delivered', 'executing'),
                                  'event', happened, 'title', format('%s: %s', c.title, after), 'equipment', e.key, 'command', c.key,
                                  'state', after, 'from_state', c.state, 'actor', who, 'note', coalesce(said, ''),
                                  'at', servitize.to_us(clock_timestamp()))
          FROM servitize.equipment e WHERE e.id = c.equipment_id;
    END IF;
    PERFORM pg_notify('servitize_command', c.id::text);
    RETURN after;
END $$;

-- Why nothing may go out to a machine now, whatever the command's own interlocks say; NULL: it may. Reading always may.
CREATE FUNCTION servitize.held_back(equipment int, of_class text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
        WHEN of_class = 'read' THEN NULL
        WHEN i.reason IS NOT NULL THEN 'emergency inhibit: ' || i.reason
        WHEN coalesce(t.reported #>> '{}', '') <> 'remote'
            THEN CASE WHEN t.reported IS NULL THEN 'the machine has not said that it is in remote' ELSE 'the machine is in ' || (t.reported #>> '{}') END
        WHEN e.attributes->>'remote_permit' = 'required' AND NOT EXISTS (
            SELECT FROM servitize.site_permit p WHERE p.equipment_id = e.id AND p.valid_from <= clock_timestamp() AND p.valid_until > clock_timestamp())
            THEN 'nobody at the site has given a permit'
        END
      FROM servitize.equipment e
      LEFT JOIN servitize.twin_property t ON t.equipment_id = e.id AND t.key = 'control_mode'
      LEFT JOIN LATERAL (
          SELECT n.reason FROM servitize.emergency_inhibit n
           WHERE n.lifted_at IS NULL AND (n.equipment_id = e.id OR (n.equipment_id IS NULL AND n.tenant_id = e.tenant_id)) LIMIT 1) i ON true
     WHERE e.id = equipment
$$;

CREATE FUNCTION servitize.require_operate(equipment int) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such thing' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'your right to this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
END $$;

-- `against`: what the interlocks said (NULL: nothing). A request that is held back is on record too.
CREATE FUNCTION servitize.request_command(
    equipment int, of_key text, called text, of_class text, given jsonb, conditions jsonb, wanted int, valid interval, against text, why text,
    who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
    hold text;
BEGIN
    PERFORM servitize.require_operate(equipment);
    IF NOT EXISTS (SELECT FROM servitize.equipment e WHERE e.id = equipment AND e.status = 'approved') THEN
        RAISE EXCEPTION 'the equipment is not in service' USING ERRCODE = 'SV409';
    END IF;
    INSERT INTO servitize.command (equipment_id, key, title, class, parameters, interlocks, needed, requested_by, reason, expires_at)
    VALUES (equipment, of_key, called, of_class, given, conditions, wanted, who, coalesce(why, ''), clock_timestamp() + valid)
    RETURNING id INTO made;
    INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, to_state, note, detail)
    VALUES (made, equipment, 'request', who, 'requested', coalesce(why, ''), given);
    hold := coalesce(servitize.held_back(equipment, of_class), against);
    IF hold IS NOT NULL THEN
        PERFORM servitize.apply_command_event(made, 'block', 'interlock', hold);
    ELSIF wanted = 0 THEN
        PERFORM servitize.apply_command_event(made, 'approve', 'policy', 'its class asks for nobody''s approval');
    END IF;
    RETURN made;
END $$;

CREATE FUNCTION servitize.approve_command(command bigint, why text, who text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c servitize.command;
BEGIN
    SELECT * INTO c FROM servitize.command x WHERE x.id = command AND servitize.may(x.equipment_id, 'read') FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such command' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.require_operate(c.equipment_id);
    IF c.state <> 'requested' THEN
        RAISE EXCEPTION 'a command that is % wants no approval', c.state USING ERRCODE = 'SV409';
    END IF;
    IF c.expires_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'it has expired' USING ERRCODE = 'SV409', HINT = 'request it anew';
    END IF;
    IF who = c.requested_by OR EXISTS (
        SELECT FROM servitize.command_step s WHERE s.command_id = c.id AND s.event = 'consent' AND s.actor = who) THEN
        RAISE EXCEPTION 'another person has to approve it' USING ERRCODE = 'SV403';
    END IF;
    UPDATE servitize.command x SET approvals = x.approvals + 1 WHERE x.id = c.id;
    INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, from_state, to_state, note)
    VALUES (c.id, c.equipment_id, 'consent', who, c.state, c.state, coalesce(why, ''));
    IF c.approvals + 1 >= c.needed THEN
        RETURN servitize.apply_command_event(c.id, 'approve', who, coalesce(why, ''));
    END IF;
    RETURN c.state;
END $$;

CREATE FUNCTION servitize.cancel_command(command bigint, why text, who text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c servitize.command;
BEGIN
    SELECT * INTO c FROM servitize.command x WHERE x.id = command AND servitize.may(x.equipment_id, 'read');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such command' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.require_operate(c.equipment_id);
    RETURN servitize.apply_command_event(c.id, 'cancel', who, coalesce(why, ''));
END $$;

-- For who holds the broker: what is to be sent now, or again (it may have been lost on the way to the broker).
CREATE FUNCTION servitize.commands_to_send() RETURNS TABLE (
    id bigint, equipment_id int, tenant text, equipment text, key text, class text, parameters jsonb, interlocks jsonb, expires_us bigint,
    dispatched boolean, now_us bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.id, c.equipment_id, t.slug, e.key, c.key, c.class, c.parameters, c.interlocks, servitize.to_us(c.expires_at),
           c.dispatched_at IS NOT NULL,
           CASE WHEN t.publisher_clock THEN (SELECT servitize.to_us(max(l.ts)) FROM servitize.latest_reading l
                                               JOIN servitize.point p ON p.id = l.point_id WHERE p.equipment_id = e.id)
                ELSE servitize.to_us(clock_timestamp()) END
      FROM servitize.command c
      JOIN servitize.equipment e ON e.id = c.equipment_id
      JOIN servitize.tenant t ON t.id = e.tenant_id
     WHERE c.state = 'approved' AND c.expires_at > clock_timestamp()
     ORDER BY c.id
$$;

-- Marks it as on its way, or (held back meanwhile) blocks it: whether it may be published.
CREATE FUNCTION servitize.dispatch_command(command bigint, against text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c    servitize.command;
    hold text;
BEGIN
    SELECT * INTO c FROM servitize.command x WHERE x.id = command FOR UPDATE;
    IF NOT FOUND OR c.state <> 'approved' OR c.expires_at <= clock_timestamp() THEN
        RETURN false;
    END IF;
    hold := coalesce(servitize.held_back(c.equipment_id, c.class), against);
    IF hold IS NOT NULL THEN
        IF c.dispatched_at IS NULL THEN
            PERFORM servitize.apply_command_event(c.id, 'block', 'interlock', hold);
        END IF;
        RETURN false;
    END IF;
    PERFORM servitize.apply_command_event(c.id, 'dispatch', 'dispatcher');
    RETURN true;
END $$;

-- A receipt as it came, on the topic of `machine` of `whose`. What it became, or why it proves nothing; never an error: whatever devices say
-- must not stop the next.
CREATE FUNCTION servitize.take_receipt(command bigint, whose text, machine text, happened text, said text, facts jsonb) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c servitize.command;
BEGIN
    SELECT x.* INTO c FROM servitize.command x
      JOIN servitize.equipment e ON e.id = x.equipment_id AND e.key = machine
      JOIN servitize.tenant t ON t.id = e.tenant_id AND t.slug = whose
     WHERE x.id = command FOR UPDATE OF x;
    IF NOT FOUND THEN
        RETURN 'no command of this machine';
    END IF;
    IF NOT EXISTS (SELECT FROM servitize.command_rule r WHERE r.state = c.state AND r.event = happened
                      AND (r.dispatched IS NULL OR r.dispatched = (c.dispatched_at IS NOT NULL))) THEN
        INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, from_state, to_state, note, detail)
        VALUES (c.id, c.equipment_id, 'disregarded', 'device', c.state, c.state, format('%s: %s', happened, said), coalesce(facts, '{}'));
        RETURN 'disregarded';
    END IF;
    RETURN servitize.apply_command_event(c.id, happened, 'device', said, facts);
END $$;

CREATE FUNCTION servitize.expire_commands() RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one     bigint;
    expired int := 0;
BEGIN
    FOR one IN SELECT c.id FROM servitize.command c
                WHERE c.state IN ('requested', 'approved', 'sent', 'delivered', 'executing') AND c.expires_at <= clock_timestamp()
                FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM servitize.apply_command_event(one, 'expire', 'timer', 'no proof of its end came in time');
        expired := expired + 1;
    END LOOP;
    RETURN expired;
END $$;

CREATE FUNCTION servitize.set_inhibit(equipment int, why text, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made int;
    one  bigint;
    tenant int := servitize.current_tenant();
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    IF equipment IS NOT NULL THEN
        PERFORM servitize.require_operate(equipment);
    END IF;
    INSERT INTO servitize.emergency_inhibit (tenant_id, equipment_id, reason, set_by) VALUES (tenant, equipment, why, who) RETURNING id INTO made;
    -- what has not gone out does not go out any more
    FOR one IN SELECT c.id FROM servitize.command c JOIN servitize.equipment e ON e.id = c.equipment_id
                WHERE c.state IN ('requested', 'approved') AND c.dispatched_at IS NULL AND c.class <> 'read'
                  AND (c.equipment_id = equipment OR (equipment IS NULL AND e.tenant_id = tenant)) FOR UPDATE OF c
    LOOP
        PERFORM servitize.apply_command_event(one, 'block', who, 'emergency inhibit: ' || why);
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION servitize.lift_inhibit(inhibit int, who text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE servitize.emergency_inhibit i SET lifted_at = clock_timestamp(), lifted_by = who
     WHERE i.id = inhibit AND i.lifted_at IS NULL AND i.tenant_id = servitize.current_tenant();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such inhibit, or it was lifted' USING ERRCODE = 'SV404';
    END IF;
END $$;

CREATE FUNCTION servitize.give_permit(equipment int, until timestamptz, why text, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made int;
BEGIN
    PERFORM servitize.require_operate(equipment);
    IF until <= clock_timestamp() OR until > clock_timestamp() + interval '31 days' THEN
        RAISE EXCEPTION 'a permit ends in the future, within 31 days' USING ERRCODE = 'SV400';
    END IF;
    INSERT INTO servitize.site_permit (equipment_id, valid_until, given_by, note) VALUES (equipment, until, who, coalesce(why, '')) RETURNING id INTO made;
    RETURN made;
END $$;

-- Desired values, each with the next version of its key. `expected` NULL: whatever it was.
CREATE FUNCTION servitize.desire(equipment int, of_key text, wanted jsonb, expected int, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    version int;
BEGIN
    PERFORM servitize.require_operate(equipment);
    INSERT INTO servitize.twin_property AS t (equipment_id, key, desired, desired_version, desired_at, desired_by)
    VALUES (equipment, of_key, wanted, 1, clock_timestamp(), who)
    ON CONFLICT (equipment_id, key) DO UPDATE
       SET desired = excluded.desired, desired_version = t.desired_version + 1, desired_at = excluded.desired_at, desired_by = excluded.desired_by
     WHERE expected IS NULL OR t.desired_version = expected
    RETURNING t.desired_version INTO version;
    IF version IS NULL THEN
        RAISE EXCEPTION 'somebody changed it meanwhile' USING ERRCODE = 'SV409', HINT = 'read the twin again';
    END IF;
    PERFORM pg_notify('servitize_twin', equipment::text);
    RETURN version;
END $$;

CREATE FUNCTION servitize.take_reported(whose text, machine text, given jsonb, versions jsonb) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about int;
    taken int;
BEGIN
    SELECT e.id INTO about FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id WHERE e.key = machine AND t.slug = whose;
    IF about IS NULL THEN
        RETURN 0;
    END IF;
    INSERT INTO servitize.twin_property AS t (equipment_id, key, reported, reported_version, reported_at)
    SELECT about, g.key, g.value, (versions->>g.key)::int, clock_timestamp() FROM jsonb_each(given) g
    ON CONFLICT (equipment_id, key) DO UPDATE
       SET reported = excluded.reported, reported_version = coalesce(excluded.reported_version, t.reported_version), reported_at = excluded.reported_at;
    GET DIAGNOSTICS taken = ROW_COUNT;
    RETURN taken;
END $$;

GRANT EXECUTE ON FUNCTION servitize.request_command, servitize.approve_command, servitize.cancel_command, servitize.set_inhibit,
    servitize.lift_inhibit, servitize.give_permit, servitize.desire TO servitize_api;
GRANT EXECUTE ON FUNCTION servitize.commands_to_send, servitize.dispatch_command, servitize.apply_command_event, servitize.take_receipt,
    servitize.expire_commands, servitize.take_reported, servitize.held_back TO servitize_writer;
