-- Configuration that reaches machines cohort by cohort, and inspections that nobody has to walk for. Both go on by one call of a timer.

CREATE TABLE servitize.rollout (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   int NOT NULL REFERENCES servitize.tenant,
    title       text NOT NULL CHECK (title <> ''),
    key         text NOT NULL,
    value       jsonb NOT NULL,
    state       text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'completed', 'rolled_back')),
    cohort      int NOT NULL DEFAULT 1,
    patience    interval NOT NULL CHECK (patience > interval '0'),
    watch       interval NOT NULL CHECK (watch >= interval '0'),
    reason      text NOT NULL DEFAULT '',
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    cohort_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_by  text NOT NULL
);
COMMENT ON COLUMN servitize.rollout.patience IS 'How long a machine may take to say that it is so; then the roll-out pauses.';
COMMENT ON COLUMN servitize.rollout.watch IS 'How long a cohort is watched for urgent or high alarms after all of it is so, before the next begins.';

CREATE TABLE servitize.rollout_member (
    rollout_id   int NOT NULL REFERENCES servitize.rollout,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    cohort       int NOT NULL CHECK (cohort > 0),
    before       jsonb,
    version      int,
    reached_at   timestamptz,
    PRIMARY KEY (rollout_id, equipment_id)
);
COMMENT ON COLUMN servitize.rollout_member.before IS 'What was desired (or else reported) before: what a roll-back wishes again.';

CREATE TABLE servitize.inspection_plan (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    title        text NOT NULL CHECK (title <> ''),
    points       text[] NOT NULL CHECK (cardinality(points) BETWEEN 1 AND 200),
    every        interval NOT NULL CHECK (every >= interval '10 minutes'),
    baseline     interval NOT NULL DEFAULT '14 days',
    tolerance    float8 NOT NULL DEFAULT 4 CHECK (tolerance > 0),
    max_age      interval NOT NULL DEFAULT '10 minutes',
    capture      text,
    next_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    stopped_at   timestamptz,
    made_by      text NOT NULL
);
COMMENT ON COLUMN servitize.inspection_plan.tolerance IS 'Standard deviations of the hourly means by which a point may differ from their mean.';
COMMENT ON COLUMN servitize.inspection_plan.capture IS 'A command of class read that each round asks of the machine, such as a waveform.';

CREATE TABLE servitize.inspection_report (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id      int NOT NULL REFERENCES servitize.inspection_plan,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    state        text,
    findings     int NOT NULL,
    points       jsonb NOT NULL,
    command_id   bigint REFERENCES servitize.command
);
CREATE INDEX inspection_report_plan ON servitize.inspection_report (plan_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.inspection_report
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['rollout', 'rollout_member', 'inspection_plan', 'inspection_report']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api, servitize_board', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['inspection_plan', 'inspection_report']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
    END LOOP;
END $$;
CREATE POLICY mine ON servitize.rollout FOR SELECT TO servitize_api, servitize_board USING (tenant_id = (SELECT servitize.current_tenant()));
CREATE POLICY mine ON servitize.rollout_member FOR SELECT TO servitize_api, servitize_board
    USING (rollout_id IN (SELECT r.id FROM servitize.rollout r));

-- Wishes the value for the machines of one cohort. Internal.
CREATE FUNCTION servitize.begin_cohort(rollout int, number int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r servitize.rollout;
    m servitize.rollout_member;
    v int;
BEGIN
    SELECT * INTO r FROM servitize.rollout x WHERE x.id = rollout;
    FOR m IN SELECT * FROM servitize.rollout_member x WHERE x.rollout_id = rollout AND x.cohort = number ORDER BY x.equipment_id
    LOOP
        UPDATE servitize.rollout_member x
           SET before = (SELECT coalesce(t.desired, t.reported) FROM servitize.twin_property t WHERE t.equipment_id = m.equipment_id AND t.key = r.key)
         WHERE x.rollout_id = m.rollout_id AND x.equipment_id = m.equipment_id;
        INSERT INTO servitize.twin_property AS t (equipment_id, key, desired, desired_version, desired_at, desired_by)
        VALUES (m.equipment_id, r.key, r.value, 1, clock_timestamp(), format('rollout %s', r.id))
        ON CONFLICT (equipment_id, key) DO UPDATE
           SET desired = excluded.desired, desired_version = t.desired_version + 1, desired_at = excluded.desired_at, desired_by = excluded.desired_by
        RETURNING t.desired_version INTO v;
        UPDATE servitize.rollout_member x SET version = v WHERE x.rollout_id = m.rollout_id AND x.equipment_id = m.equipment_id;
        PERFORM pg_notify('servitize_twin', m.equipment_id::text);
    END LOOP;
    UPDATE servitize.rollout x SET cohort = number, cohort_at = clock_timestamp(), changed_at = clock_timestamp() WHERE x.id = rollout;
END $$;

-- `cohorts`: arrays of equipment numbers, the canary first.
CREATE FUNCTION servitize.start_rollout(
    called text, of_key text, wanted jsonb, cohorts jsonb, patient interval, watching interval, who text) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made int;
    one  record;
BEGIN
    IF servitize.current_tenant() IS NULL THEN
        RAISE EXCEPTION 'nobody is asking' USING ERRCODE = 'SV403';
    END IF;
    INSERT INTO servitize.rollout (tenant_id, title, key, value, patience, watch, started_by)
    VALUES (servitize.current_tenant(), called, of_key, wanted, patient, watching, who) RETURNING id INTO made;
    FOR one IN SELECT c.n::int AS cohort, e.value::int AS equipment
                 FROM jsonb_array_elements(cohorts) WITH ORDINALITY c (list, n), jsonb_array_elements_text(c.list) e (value)
    LOOP
        PERFORM servitize.require_operate(one.equipment);
        INSERT INTO servitize.rollout_member (rollout_id, equipment_id, cohort) VALUES (made, one.equipment, one.cohort)
        ON CONFLICT DO NOTHING;
    END LOOP;
    IF NOT EXISTS (SELECT FROM servitize.rollout_member m WHERE m.rollout_id = made) THEN
        RAISE EXCEPTION 'a roll-out without machines' USING ERRCODE = 'SV400';
    END IF;
    PERFORM servitize.begin_cohort(made, 1);
    RETURN made;
END $$;

-- pause, resume or roll_back, by whoever asks.
CREATE FUNCTION servitize.steer_rollout(rollout int, wish text, why text, who text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r servitize.rollout;
    m servitize.rollout_member;
BEGIN
    SELECT * INTO r FROM servitize.rollout x WHERE x.id = rollout AND x.tenant_id = servitize.current_tenant() FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such roll-out' USING ERRCODE = 'SV404';
    END IF;
    IF (wish = 'pause' AND r.state <> 'running') OR (wish = 'resume' AND r.state <> 'paused') OR r.state = 'rolled_back' THEN
        RAISE EXCEPTION 'a roll-out that is % does not allow %', r.state, wish USING ERRCODE = 'SV409';
    END IF;
    IF wish = 'roll_back' THEN
        FOR m IN SELECT * FROM servitize.rollout_member x WHERE x.rollout_id = r.id AND x.version IS NOT NULL
        LOOP
            -- a later wish of somebody else's stays
            UPDATE servitize.twin_property t
               SET desired = m.before, desired_version = t.desired_version + 1, desired_at = clock_timestamp(), desired_by = who
             WHERE t.equipment_id = m.equipment_id AND t.key = r.key AND t.desired_version = m.version;
            PERFORM pg_notify('servitize_twin', m.equipment_id::text);
        END LOOP;
    END IF;
    UPDATE servitize.rollout x
       SET state = CASE wish WHEN 'pause' THEN 'paused' WHEN 'resume' THEN 'running' ELSE 'rolled_back' END, reason = coalesce(why, ''),
           cohort_at = CASE wish WHEN 'resume' THEN clock_timestamp() ELSE x.cohort_at END, changed_at = clock_timestamp()
     WHERE x.id = r.id RETURNING state INTO wish;
    RETURN wish;
END $$;

-- Goes on with every roll-out that runs: the next cohort where all of the present one is so and was quiet, a pause where it is not.
CREATE FUNCTION servitize.advance_rollouts() RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    r       servitize.rollout;
    ill     text;
    waiting int;
    latest  timestamptz;
    moved   int := 0;
BEGIN
    FOR r IN SELECT * FROM servitize.rollout x WHERE x.state = 'running' FOR UPDATE SKIP LOCKED
    LOOP
        UPDATE servitize.rollout_member m SET reached_at = clock_timestamp()
          FROM servitize.twin_property t
         WHERE m.rollout_id = r.id AND m.cohort <= r.cohort AND m.reached_at IS NULL AND t.equipment_id = m.equipment_id AND t.key = r.key
           AND t.reported = r.value AND coalesce(t.reported_version, m.version) >= m.version;
        SELECT e.key || ': ' || a.title INTO ill
          FROM servitize.rollout_member m
          JOIN servitize.alarm a ON a.equipment_id = m.equipment_id
          JOIN servitize.equipment e ON e.id = m.equipment_id
         WHERE m.rollout_id = r.id AND m.cohort <= r.cohort AND a.active AND a.priority IN ('urgent', 'high') AND a.concern <> 'instrument'
           AND a.updated_at >= r.cohort_at LIMIT 1;
        SELECT count(*) FILTER (WHERE m.reached_at IS NULL), max(m.reached_at) INTO waiting, latest
          FROM servitize.rollout_member m WHERE m.rollout_id = r.id AND m.cohort <= r.cohort;
        IF ill IS NOT NULL OR (waiting > 0 AND r.cohort_at + r.patience < clock_timestamp()) THEN
            UPDATE servitize.rollout x SET state = 'paused', changed_at = clock_timestamp(),
                   reason = coalesce(ill, format('%s machines have not said that it is so', waiting)) WHERE x.id = r.id;
            moved := moved + 1;
        ELSIF waiting = 0 AND latest + r.watch <= clock_timestamp() THEN
            IF EXISTS (SELECT FROM servitize.rollout_member m WHERE m.rollout_id = r.id AND m.cohort > r.cohort) THEN
                PERFORM servitize.begin_cohort(r.id, r.cohort + 1);
            ELSE
                UPDATE servitize.rollout x SET state = 'completed', changed_at = clock_timestamp() WHERE x.id = r.id;
            END IF;
            moved := moved + 1;
        END IF;
    END LOOP;
    RETURN moved;
END $$;

CREATE FUNCTION servitize.plan_inspection(
    equipment int, called text, of_points text[], how_often interval, compared interval, deviations float8, oldest interval, with_command text,
    who text) RETURNS int
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
    INSERT INTO servitize.inspection_plan (equipment_id, title, points, every, baseline, tolerance, max_age, capture, made_by)
    VALUES (equipment, called, of_points, how_often, compared, deviations, oldest, with_command, who) RETURNING id INTO made;
    RETURN made;
END $$;

CREATE FUNCTION servitize.stop_inspection(plan int) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    about int;
BEGIN
    SELECT i.equipment_id INTO about FROM servitize.inspection_plan i WHERE i.id = plan AND i.stopped_at IS NULL;
    IF about IS NULL THEN
        RAISE EXCEPTION 'there is no such inspection, or it was stopped' USING ERRCODE = 'SV404';
    END IF;
    PERFORM servitize.require_operate(about);
    UPDATE servitize.inspection_plan i SET stopped_at = clock_timestamp() WHERE i.id = plan;
END $$;

-- Every round that is due: reads the points, compares each with its baseline, asks for a capture, files a report.
CREATE FUNCTION servitize.run_inspections() RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    p      servitize.inspection_plan;
    here   timestamptz;
    seen   jsonb;
    asked  bigint;
    filed  bigint;
    odd    int;
    made   int := 0;
BEGIN
    FOR p IN SELECT * FROM servitize.inspection_plan x WHERE x.stopped_at IS NULL AND x.next_at <= clock_timestamp() FOR UPDATE SKIP LOCKED
    LOOP
        SELECT CASE WHEN t.publisher_clock THEN coalesce((SELECT max(l.ts) FROM servitize.latest_reading l JOIN servitize.point q ON q.id = l.point_id
                                                           WHERE q.equipment_id = e.id), clock_timestamp()) ELSE clock_timestamp() END
          INTO here FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id WHERE e.id = p.equipment_id;
        SELECT jsonb_object_agg(f.key, jsonb_build_object('value', f.value, 'at', servitize.to_us(f.ts), 'unit', f.unit, 'mean', f.mean,
                                                          'deviation', f.deviation, 'hours', f.hours, 'finding', f.finding)),
               count(f.finding)
          INTO seen, odd
          FROM (SELECT q.key, q.unit, l.ts, CASE WHEN abs(l.value) < 1e300 THEN l.value END AS value, b.mean, b.deviation, b.hours,
                       CASE WHEN l.ts IS NULL OR l.ts < here - p.max_age THEN 'no fresh reading'
                            WHEN l.quality < 64 OR NOT abs(l.value) < 1e300 THEN 'bad reading'
                            WHEN b.hours >= 24 AND abs(l.value - b.mean) > p.tolerance * greatest(b.deviation, 1e-9) THEN
                                format('%s %s, %s deviations from its mean of %s', round(l.value::numeric, 3), q.unit,
                                       round((abs(l.value - b.mean) / greatest(b.deviation, 1e-9))::numeric, 1), round(b.mean::numeric, 3)) END AS finding
                  FROM servitize.point q
                  LEFT JOIN servitize.latest_reading l ON l.point_id = q.id
                  LEFT JOIN LATERAL (
                       SELECT avg(h.sum / h.usable) AS mean, stddev_samp(h.sum / h.usable) AS deviation, count(*) AS hours
                         FROM servitize.rollup_hour h
                        WHERE h.point_id = q.id AND h.usable > 0 AND h.bucket >= here - p.baseline AND h.bucket < here - interval '1 hour') b ON true
                 WHERE q.equipment_id = p.equipment_id AND q.key = ANY (p.points)) f;
        asked := NULL;
        IF p.capture IS NOT NULL THEN
            INSERT INTO servitize.command (equipment_id, key, title, class, needed, requested_by, reason, expires_at)
            VALUES (p.equipment_id, p.capture, p.title, 'read', 0, 'inspection', p.title, clock_timestamp() + interval '10 minutes')
            RETURNING id INTO asked;
            INSERT INTO servitize.command_step (command_id, equipment_id, event, actor, to_state, note)
            VALUES (asked, p.equipment_id, 'request', 'inspection', 'requested', p.title);
            PERFORM servitize.apply_command_event(asked, 'approve', 'policy', 'reading asks for nobody''s approval');
        END IF;
        INSERT INTO servitize.inspection_report (plan_id, equipment_id, state, findings, points, command_id)
        SELECT p.id, p.equipment_id, (SELECT c.state FROM servitize.state_change c WHERE c.equipment_id = p.equipment_id ORDER BY c.at DESC LIMIT 1),
               coalesce(odd, 0), coalesce(seen, '{}'), asked
        RETURNING id INTO filed;
        IF coalesce(odd, 0) > 0 THEN
            INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
            SELECT e.tenant_id, e.id, 'inspection',
                   jsonb_build_object('subject', format('inspection/%s', p.id), 'open', false, 'event', 'found', 'equipment', e.key,
                                      'title', format('%s: %s findings', p.title, odd), 'report', filed, 'at', servitize.to_us(clock_timestamp()))
              FROM servitize.equipment e WHERE e.id = p.equipment_id;
        END IF;
        UPDATE servitize.inspection_plan x SET next_at = greatest(x.next_at + x.every, clock_timestamp()) WHERE x.id = p.id;
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

GRANT EXECUTE ON FUNCTION servitize.start_rollout, servitize.steer_rollout, servitize.plan_inspection, servitize.stop_inspection TO servitize_api;
GRANT EXECUTE ON FUNCTION servitize.advance_rollouts, servitize.run_inspections TO servitize_writer;
