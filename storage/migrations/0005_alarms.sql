-- Alarms. Processors say what conditions do; operators say what they do about them; the state of an alarm is reduced here, under a row lock, by
-- the rows of alarm_rule, so that neither can overwrite the other.

CREATE TABLE servitize.condition_transition (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    condition    text NOT NULL,
    at           timestamptz NOT NULL,
    change       text NOT NULL CHECK (change IN ('raised', 'cleared', 'suppressed', 'unsuppressed')),
    component    text NOT NULL,
    priority     text NOT NULL CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    concern      text NOT NULL CHECK (concern IN ('machine', 'instrument', 'connection')),
    title        text NOT NULL,
    point        text,
    value        float8,
    "limit"      float8,
    failure_mode text,
    consequence  text NOT NULL DEFAULT '',
    action       text NOT NULL DEFAULT '',
    first_out    text,
    announce     boolean NOT NULL DEFAULT true,
    late         boolean NOT NULL DEFAULT false,
    detail       jsonb NOT NULL DEFAULT '{}',
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (equipment_id, condition, at, change)
);

CREATE TABLE servitize.alarm (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id      int NOT NULL REFERENCES servitize.equipment,
    condition         text NOT NULL,
    component         text NOT NULL,
    state             text NOT NULL DEFAULT 'normal',
    active            boolean NOT NULL DEFAULT false,
    latching          boolean NOT NULL DEFAULT false,
    priority          text NOT NULL,
    concern           text NOT NULL,
    title             text NOT NULL,
    point             text,
    value             float8,
    "limit"           float8,
    failure_mode      text,
    consequence       text NOT NULL DEFAULT '',
    action            text NOT NULL DEFAULT '',
    first_out         text,
    detail            jsonb NOT NULL DEFAULT '{}',
    occurrences       int NOT NULL DEFAULT 0,
    raised_at         timestamptz,
    cleared_at        timestamptz,
    acknowledged_at   timestamptz,
    acknowledged_by   text,
    shelved_until     timestamptz,
    shelved_by        text,
    shelved_reason    text,
    shelved_priority  text,
    changed_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (equipment_id, condition),
    CHECK ((state = 'shelved') = (shelved_until IS NOT NULL))
);
COMMENT ON COLUMN servitize.alarm.first_out IS 'Condition of the same equipment that this one follows from; NULL: it stands for itself.';
COMMENT ON COLUMN servitize.alarm.changed_at IS 'Time of the last event (event time of the condition, or when the operator acted).';
CREATE INDEX alarm_standing ON servitize.alarm (equipment_id) WHERE state <> 'normal';
CREATE INDEX alarm_shelves ON servitize.alarm (shelved_until) WHERE state = 'shelved';

CREATE TABLE servitize.alarm_journal (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id     bigint NOT NULL REFERENCES servitize.alarm,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    condition    text NOT NULL,
    at           timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    event        text NOT NULL,
    actor        text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    from_state   text NOT NULL,
    to_state     text NOT NULL,
    active       boolean NOT NULL,
    priority     text NOT NULL,
    value        float8,
    "limit"      float8,
    first_out    text,
    announced    boolean NOT NULL,
    late         boolean NOT NULL DEFAULT false,
    detail       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX alarm_journal_alarm ON servitize.alarm_journal (alarm_id, id);
CREATE INDEX alarm_journal_equipment ON servitize.alarm_journal (equipment_id, at);

CREATE TABLE servitize.alarm_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    active     boolean,
    latching   boolean,
    next_state text NOT NULL,
    announce   boolean NOT NULL
);
CREATE UNIQUE INDEX alarm_rule_step ON servitize.alarm_rule
    (state, event, (coalesce(active::text, '')), (coalesce(latching::text, '')));
COMMENT ON TABLE servitize.alarm_rule IS 'core.alarm.TRANSITIONS; a test holds the two equal.';
INSERT INTO servitize.alarm_rule (state, event, active, latching, next_state, announce) VALUES
    ('normal', 'raised', NULL, NULL, 'unacknowledged', true),
    ('unacknowledged', 'acknowledge', NULL, NULL, 'acknowledged', false),
    ('unacknowledged', 'cleared', NULL, false, 'returned_unacknowledged', false),
    ('acknowledged', 'cleared', NULL, false, 'normal', false),
    ('returned_unacknowledged', 'acknowledge', NULL, NULL, 'normal', false),
    ('returned_unacknowledged', 'raised', NULL, NULL, 'unacknowledged', true),
    ('unacknowledged', 'cleared', NULL, true, 'latched_unacknowledged', false),
    ('acknowledged', 'cleared', NULL, true, 'latched_acknowledged', false),
    ('latched_unacknowledged', 'acknowledge', NULL, NULL, 'latched_acknowledged', false),
    ('latched_unacknowledged', 'raised', NULL, NULL, 'unacknowledged', true),
    ('latched_acknowledged', 'reset', NULL, NULL, 'normal', false),
    ('latched_acknowledged', 'raised', NULL, NULL, 'unacknowledged', true),
    ('suppressed_by_design', 'raised', NULL, NULL, 'suppressed_by_design', false),
    ('suppressed_by_design', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('suppressed_by_design', 'cleared', NULL, NULL, 'normal', false),
    ('suppressed_by_design', 'unsuppressed', NULL, NULL, 'unacknowledged', true),
    ('shelved', 'unshelve', true, NULL, 'acknowledged', false),
    ('shelved', 'unshelve', false, NULL, 'normal', false),
    ('shelved', 'shelf_expired', true, NULL, 'unacknowledged', true),
    ('shelved', 'shelf_expired', false, NULL, 'normal', false),
    ('shelved', 'shelve', NULL, NULL, 'shelved', false),
    ('out_of_service', 'return_to_service', true, NULL, 'unacknowledged', true),
    ('out_of_service', 'return_to_service', false, NULL, 'normal', false),
    ('unacknowledged', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('unacknowledged', 'shelve', NULL, NULL, 'shelved', false),
    ('acknowledged', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('acknowledged', 'shelve', NULL, NULL, 'shelved', false),
    ('returned_unacknowledged', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('returned_unacknowledged', 'shelve', NULL, NULL, 'shelved', false),
    ('latched_unacknowledged', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('latched_unacknowledged', 'shelve', NULL, NULL, 'shelved', false),
    ('latched_acknowledged', 'suppressed', NULL, NULL, 'suppressed_by_design', false),
    ('latched_acknowledged', 'shelve', NULL, NULL, 'shelved', false),
    ('normal', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('unacknowledged', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('acknowledged', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('returned_unacknowledged', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('latched_unacknowledged', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('latched_acknowledged', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('shelved', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('suppressed_by_design', 'remove_from_service', NULL, NULL, 'out_of_service', false),
    ('shelved', 'raised', NULL, NULL, 'shelved', false),
    ('shelved', 'cleared', NULL, NULL, 'shelved', false),
    ('shelved', 'suppressed', NULL, NULL, 'shelved', false),
    ('shelved', 'unsuppressed', NULL, NULL, 'shelved', false),
    ('out_of_service', 'raised', NULL, NULL, 'out_of_service', false),
    ('out_of_service', 'cleared', NULL, NULL, 'out_of_service', false),
    ('out_of_service', 'suppressed', NULL, NULL, 'out_of_service', false),
    ('out_of_service', 'unsuppressed', NULL, NULL, 'out_of_service', false),
    ('unacknowledged', 'raised', NULL, NULL, 'unacknowledged', false),
    ('unacknowledged', 'unsuppressed', NULL, NULL, 'unacknowledged', false),
    ('acknowledged', 'raised', NULL, NULL, 'acknowledged', false),
    ('acknowledged', 'unsuppressed', NULL, NULL, 'acknowledged', false),
    ('normal', 'cleared', NULL, NULL, 'normal', false),
    ('returned_unacknowledged', 'cleared', NULL, NULL, 'returned_unacknowledged', false),
    ('latched_unacknowledged', 'cleared', NULL, NULL, 'latched_unacknowledged', false),
    ('latched_acknowledged', 'cleared', NULL, NULL, 'latched_acknowledged', false),
    ('normal', 'suppressed', NULL, NULL, 'normal', false),
    ('normal', 'unsuppressed', NULL, NULL, 'unacknowledged', true),
    ('returned_unacknowledged', 'unsuppressed', NULL, NULL, 'unacknowledged', true),
    ('latched_unacknowledged', 'unsuppressed', NULL, NULL, 'unacknowledged', true),
    ('latched_acknowledged', 'unsuppressed', NULL, NULL, 'unacknowledged', true);

CREATE FUNCTION servitize.priority_rank(priority text) RETURNS int
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN array_position(ARRAY['urgent', 'high', 'medium', 'low'], priority);

-- One step of one alarm. A processor's event brings its facts (a condition_transition as JSON) and makes the alarm where there is none; an
-- operator's brings {} or {"shelved_until": microseconds}. Journals always; announces where rule and facts say so. Internal: the doors are
-- apply_transitions, operate_alarm and expire_shelves.
-- Errors: SV404 no such alarm, SV409 not allowed in its state, SV400 what is asked makes no sense.
CREATE FUNCTION servitize.apply_alarm_event(
    on_equipment int, on_condition text, happened text, happened_at timestamptz, who text, why text, facts jsonb,
    OUT alarm_id bigint, OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a           servitize.alarm;
    rule        servitize.alarm_rule;
    now_active  boolean;
    processor   boolean := happened IN ('raised', 'cleared', 'suppressed', 'unsuppressed');
    speaks      boolean := happened IN ('raised', 'unsuppressed');
    is_late     boolean := coalesce((facts->>'late')::boolean, false);
    may_speak   boolean := coalesce((facts->>'announce')::boolean, true);
    over        boolean;
    shelf       timestamptz;
    journal_id  bigint;
BEGIN
    IF processor THEN
        INSERT INTO servitize.alarm (equipment_id, condition, component, latching, priority, concern, title, changed_at)
        VALUES (on_equipment, on_condition, facts->>'component', coalesce((facts->'detail'->>'latching')::boolean, false),
                facts->>'priority', facts->>'concern', facts->>'title', happened_at)
        ON CONFLICT (equipment_id, condition) DO NOTHING;
    END IF;
    SELECT * INTO a FROM servitize.alarm x
     WHERE x.equipment_id = on_equipment AND x.condition = on_condition FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such alarm' USING ERRCODE = 'SV404';
    END IF;
    alarm_id := a.id;
    from_state := a.state;

    -- A late crossing that a newer good reading has already disproved: journalled at its own time, nothing is reopened.
    over := is_late AND NOT may_speak AND facts->>'first_out' IS NULL;
    IF over THEN
        now_active := a.active;
        to_state := a.state;
        announced := false;
    ELSE
        now_active := CASE WHEN processor THEN speaks ELSE a.active END;
        SELECT * INTO rule FROM servitize.alarm_rule r
         WHERE r.state = a.state AND r.event = happened
           AND (r.active IS NULL OR r.active = now_active) AND (r.latching IS NULL OR r.latching = a.latching);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'an alarm in state % does not allow %', a.state, happened
                USING ERRCODE = 'SV409', HINT = 'read the alarm again; its journal shows what happened meanwhile';
        END IF;
        to_state := rule.next_state;
        -- un-shelved by hand it is silent, unless it became more urgent while nobody looked
        announced := may_speak AND (rule.announce OR (
            happened = 'unshelve' AND now_active
            AND servitize.priority_rank(a.priority) < servitize.priority_rank(a.shelved_priority)));
        IF happened = 'shelve' THEN
            shelf := servitize.from_us((facts->>'shelved_until')::bigint);
            IF shelf IS NULL OR shelf <= happened_at OR coalesce(why, '') = '' THEN
                RAISE EXCEPTION 'shelving needs an end in the future and a reason' USING ERRCODE = 'SV400';
            END IF;
        ELSIF to_state = 'shelved' THEN
            shelf := a.shelved_until;
        END IF;
        UPDATE servitize.alarm x
           SET state = to_state,
               active = now_active,
               latching = CASE WHEN speaks THEN coalesce((facts->'detail'->>'latching')::boolean, false) ELSE x.latching END,
               priority = CASE WHEN speaks THEN facts->>'priority' ELSE x.priority END,
               concern = CASE WHEN speaks THEN facts->>'concern' ELSE x.concern END,
               component = CASE WHEN speaks THEN facts->>'component' ELSE x.component END,
               title = CASE WHEN speaks THEN facts->>'title' ELSE x.title END,
               point = CASE WHEN speaks THEN facts->>'point' ELSE x.point END,
               value = CASE WHEN speaks THEN (facts->>'value')::float8 ELSE x.value END,
               "limit" = CASE WHEN speaks THEN (facts->>'limit')::float8 ELSE x."limit" END,
               failure_mode = CASE WHEN speaks THEN facts->>'failure_mode' ELSE x.failure_mode END,
               consequence = CASE WHEN speaks THEN coalesce(facts->>'consequence', '') ELSE x.consequence END,
               action = CASE WHEN speaks THEN coalesce(facts->>'action', '') ELSE x.action END,
               first_out = CASE WHEN speaks THEN facts->>'first_out' ELSE x.first_out END,
               detail = CASE WHEN speaks THEN coalesce(facts->'detail', '{}') ELSE x.detail END,
               occurrences = x.occurrences + (now_active AND NOT x.active)::int,
               raised_at = CASE WHEN now_active AND NOT x.active THEN happened_at ELSE x.raised_at END,
               cleared_at = CASE WHEN x.active AND NOT now_active THEN happened_at
                                 WHEN now_active AND NOT x.active THEN NULL ELSE x.cleared_at END,
               acknowledged_at = CASE WHEN happened = 'acknowledge' THEN happened_at
                                      WHEN to_state = 'unacknowledged' AND x.state <> to_state THEN NULL
                                      ELSE x.acknowledged_at END,
               acknowledged_by = CASE WHEN happened = 'acknowledge' THEN who
                                      WHEN to_state = 'unacknowledged' AND x.state <> to_state THEN NULL
                                      ELSE x.acknowledged_by END,
               shelved_until = shelf,
               shelved_by = CASE WHEN happened = 'shelve' THEN who WHEN shelf IS NOT NULL THEN x.shelved_by END,
               shelved_reason = CASE WHEN happened = 'shelve' THEN why WHEN shelf IS NOT NULL THEN x.shelved_reason END,
               shelved_priority = CASE WHEN shelf IS NULL THEN NULL
                                       WHEN x.state = 'shelved' THEN x.shelved_priority ELSE x.priority END,
               changed_at = happened_at,
               updated_at = now()
         WHERE x.id = a.id
        RETURNING * INTO a;
    END IF;

    INSERT INTO servitize.alarm_journal
        (alarm_id, equipment_id, condition, at, event, actor, reason, from_state, to_state, active, priority, value, "limit",
         first_out, announced, late, detail)
    VALUES (a.id, on_equipment, on_condition, happened_at, happened, who, coalesce(why, ''), from_state, to_state, now_active,
            coalesce(facts->>'priority', a.priority), (facts->>'value')::float8, (facts->>'limit')::float8,
            coalesce(facts->>'first_out', a.first_out), announced, is_late, coalesce(facts->'detail', facts - 'shelved_until')
            || CASE WHEN shelf IS NOT NULL THEN jsonb_build_object('shelved_until', servitize.to_us(shelf)) ELSE '{}' END)
    RETURNING id INTO journal_id;

    IF announced OR from_state <> to_state THEN
        INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
        SELECT e.tenant_id, e.id, CASE WHEN announced THEN 'alarm' ELSE 'alarm_change' END,
               jsonb_build_object(
                   'alarm_id', a.id, 'journal_id', journal_id, 'equipment_id', e.id, 'equipment', e.key, 'condition', on_condition,
                   'component', a.component, 'event', happened, 'from_state', from_state, 'state', to_state, 'active', now_active,
                   'at', servitize.to_us(happened_at), 'actor', who, 'reason', coalesce(why, ''), 'priority', a.priority,
                   'concern', a.concern, 'title', a.title, 'point', a.point, 'value', a.value, 'limit', a."limit",
                   'failure_mode', a.failure_mode, 'consequence', a.consequence, 'action', a.action, 'first_out', a.first_out,
                   'late', is_late)
          FROM servitize.equipment e WHERE e.id = on_equipment;
    END IF;
END $$;

-- The writer's door: transitions as a JSON array in event order (keys of core.condition.ConditionTransition, times in microseconds).
-- Each is stored once by its identity; what is already there changes nothing.
CREATE FUNCTION servitize.apply_transitions(batch jsonb, OUT fresh int, OUT announced int)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    x    jsonb;
    step record;
BEGIN
    fresh := 0;
    announced := 0;
    FOR x IN SELECT e.t FROM jsonb_array_elements(batch) WITH ORDINALITY AS e (t, n) ORDER BY e.n
    LOOP
        INSERT INTO servitize.condition_transition
            (equipment_id, condition, at, change, component, priority, concern, title, point, value, "limit", failure_mode,
             consequence, action, first_out, announce, late, detail)
        VALUES ((x->>'equipment_id')::int, x->>'condition', servitize.from_us((x->>'at')::bigint), x->>'change', x->>'component',
                x->>'priority', x->>'concern', x->>'title', x->>'point', (x->>'value')::float8, (x->>'limit')::float8,
                x->>'failure_mode', coalesce(x->>'consequence', ''), coalesce(x->>'action', ''), x->>'first_out',
                coalesce((x->>'announce')::boolean, true), coalesce((x->>'late')::boolean, false), coalesce(x->'detail', '{}'))
        ON CONFLICT (equipment_id, condition, at, change) DO NOTHING;
        CONTINUE WHEN NOT FOUND;
        SELECT * INTO step FROM servitize.apply_alarm_event(
            (x->>'equipment_id')::int, x->>'condition', x->>'change', servitize.from_us((x->>'at')::bigint), 'processor', '', x);
        fresh := fresh + 1;
        announced := announced + step.announced::int;
    END LOOP;
END $$;

-- The operators' door. What the tenant asking may not see does not exist (SV404); seen but not to be operated is SV403.
CREATE FUNCTION servitize.operate_alarm(
    alarm bigint, command text, who text, why text DEFAULT '', until timestamptz DEFAULT NULL,
    OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a servitize.alarm;
BEGIN
    SELECT x.* INTO a FROM servitize.alarm x WHERE x.id = alarm;
    IF NOT FOUND OR NOT servitize.may(a.equipment_id, 'read') THEN
        RAISE EXCEPTION 'there is no such alarm' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(a.equipment_id, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    IF command NOT IN ('acknowledge', 'reset', 'shelve', 'unshelve', 'remove_from_service', 'return_to_service') THEN
        RAISE EXCEPTION '% is no command of an operator', command USING ERRCODE = 'SV400';
    END IF;
    SELECT s.from_state, s.to_state, s.announced INTO from_state, to_state, announced
      FROM servitize.apply_alarm_event(
          a.equipment_id, a.condition, command, clock_timestamp(), who, why,
          CASE WHEN command = 'shelve' THEN jsonb_build_object('shelved_until', servitize.to_us(until)) ELSE '{}' END) s;
END $$;

-- Shelves whose time is up; their timers live in the table, so they survive every restart. An alarm that somebody holds at this moment
-- comes with the next call.
CREATE FUNCTION servitize.expire_shelves(moment timestamptz) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a       record;
    expired int := 0;
BEGIN
    FOR a IN SELECT x.equipment_id, x.condition, x.shelved_until FROM servitize.alarm x
              WHERE x.state = 'shelved' AND x.shelved_until <= moment
              ORDER BY x.shelved_until FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM servitize.apply_alarm_event(
            a.equipment_id, a.condition, 'shelf_expired', a.shelved_until, 'timer', 'the time on the shelf is over', '{}');
        expired := expired + 1;
    END LOOP;
    RETURN expired;
END $$;
