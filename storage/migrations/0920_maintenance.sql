-- From advisory to finished work. Evidence (alarms, prognoses) and people both move an advisory and a work order; their states are reduced here,
-- under a row lock, by the rows of advisory_rule and work_rule, so that neither can overwrite the other. Times are the tenant's timeline.

CREATE TABLE servitize.advisory (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id   int NOT NULL REFERENCES servitize.equipment,
    component      text NOT NULL,
    failure_mode   text NOT NULL,
    state          text NOT NULL DEFAULT 'resting',
    outcome        text CHECK (outcome IN ('done', 'gone', 'unfounded')),
    title          text NOT NULL DEFAULT '',
    priority       text NOT NULL CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    due_at         timestamptz,
    due_rule       text NOT NULL DEFAULT '',
    consequence    text NOT NULL DEFAULT '',
    task           text,
    plan           jsonb NOT NULL DEFAULT '{}',
    evidence       jsonb NOT NULL DEFAULT '[]',
    occurrences    int NOT NULL DEFAULT 0,
    opened_at      timestamptz,
    deferred_until timestamptz,
    gone_since     timestamptz,
    decided_by     text,
    decided_at     timestamptz,
    reason         text NOT NULL DEFAULT '',
    work_order_id  bigint,
    revision       int NOT NULL DEFAULT 1,
    changed_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (equipment_id, component, failure_mode),
    CHECK ((state = 'deferred') = (deferred_until IS NOT NULL))
);
COMMENT ON COLUMN servitize.advisory.plan IS 'What to do: name, steps, parts, lubricants, skills, crew, minutes, cost, currency; from the type.';
COMMENT ON COLUMN servitize.advisory.evidence IS 'Why: what is seen now and what was seen, each with its time and whether it still holds.';
COMMENT ON COLUMN servitize.advisory.gone_since IS 'Since when nothing of the evidence holds; NULL: something does.';
CREATE INDEX advisory_deferred ON servitize.advisory (deferred_until) WHERE state = 'deferred';
CREATE INDEX advisory_changed ON servitize.advisory (changed_at, id);

CREATE TABLE servitize.advisory_journal (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    advisory_id  bigint NOT NULL REFERENCES servitize.advisory,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    at           timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    event        text NOT NULL,
    actor        text NOT NULL,
    reason       text NOT NULL DEFAULT '',
    from_state   text NOT NULL,
    to_state     text NOT NULL,
    priority     text NOT NULL,
    due_at       timestamptz,
    announced    boolean NOT NULL,
    detail       jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX advisory_journal_advisory ON servitize.advisory_journal (advisory_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.advisory_journal
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

CREATE TABLE servitize.work_order (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id    int NOT NULL REFERENCES servitize.equipment,
    component       text NOT NULL,
    advisory_id     bigint REFERENCES servitize.advisory,
    kind            text NOT NULL CHECK (kind IN ('corrective', 'preventive', 'inspection')),
    task            text,
    failure_mode    text,
    title           text NOT NULL,
    state           text NOT NULL DEFAULT 'planned',
    priority        text NOT NULL CHECK (priority IN ('urgent', 'high', 'medium', 'low')),
    due_at          timestamptz,
    plan            jsonb NOT NULL DEFAULT '{}',
    checklist       jsonb NOT NULL DEFAULT '[]',
    scheduled_start timestamptz,
    scheduled_end   timestamptz CHECK (scheduled_end > scheduled_start),
    crew            text NOT NULL DEFAULT '',
    started_at      timestamptz,
    done_at         timestamptz,
    outcome         text CHECK (outcome IN ('repaired', 'no_fault_found', 'not_repaired')),
    findings        text NOT NULL DEFAULT '',
    verification    jsonb NOT NULL DEFAULT '{}',
    closed_at       timestamptz,
    reopenings      int NOT NULL DEFAULT 0,
    approved_by     text,
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    revision        int NOT NULL DEFAULT 1,
    changed_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (state <> 'scheduled' OR scheduled_start IS NOT NULL)
);
COMMENT ON COLUMN servitize.work_order.verification IS 'What the telemetry said after the work: since when watched, hours of running seen, verdict.';
CREATE INDEX work_order_equipment ON servitize.work_order (equipment_id, component);
CREATE INDEX work_order_changed ON servitize.work_order (changed_at, id);
CREATE INDEX work_order_done ON servitize.work_order (done_at) WHERE state = 'done';
-- one unfinished order per preventive task and component
CREATE UNIQUE INDEX work_order_preventive ON servitize.work_order (equipment_id, component, task)
    WHERE kind = 'preventive' AND state NOT IN ('closed', 'cancelled', 'verified');
ALTER TABLE servitize.advisory ADD FOREIGN KEY (work_order_id) REFERENCES servitize.work_order;

CREATE TABLE servitize.work_journal (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    work_order_id bigint NOT NULL REFERENCES servitize.work_order,
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    at            timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    event         text NOT NULL,
    actor         text NOT NULL,
    reason        text NOT NULL DEFAULT '',
    from_state    text NOT NULL,
    to_state      text NOT NULL,
    announced     boolean NOT NULL,
    detail        jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX work_journal_order ON servitize.work_journal (work_order_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.work_journal
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

-- What was done and used: hours of people, parts taken, lubricants, findings. Never changed; a mistake is entered with the opposite sign.
CREATE TABLE servitize.work_entry (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    work_order_id bigint NOT NULL REFERENCES servitize.work_order,
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    at            timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor         text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('labour', 'part', 'lubricant', 'finding')),
    item          text NOT NULL DEFAULT '',
    quantity      numeric(14, 4),
    unit          text NOT NULL DEFAULT '1',
    cost          numeric(14, 2),
    note          text NOT NULL DEFAULT ''
);
CREATE INDEX work_entry_order ON servitize.work_entry (work_order_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.work_entry
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

-- By hash: the same picture of the same order is there once.
CREATE TABLE servitize.work_photo (
    work_order_id bigint NOT NULL REFERENCES servitize.work_order,
    sha256        bytea NOT NULL,
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    media_type    text NOT NULL CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp')),
    content       bytea NOT NULL CHECK (length(content) BETWEEN 1 AND 4194304),
    note          text NOT NULL DEFAULT '',
    actor         text NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (work_order_id, sha256),
    CHECK (sha256 = sha256(content))
);
ALTER TABLE servitize.work_photo ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE servitize.advisory_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    next_state text NOT NULL,
    announce   boolean NOT NULL,
    PRIMARY KEY (state, event)
);
COMMENT ON TABLE servitize.advisory_rule IS 'core.maintenance.ADVISORY_STEPS; a test holds the two equal.';
CREATE TABLE servitize.work_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    next_state text NOT NULL,
    announce   boolean NOT NULL,
    ready      boolean,
    PRIMARY KEY (state, event)
);
COMMENT ON TABLE servitize.work_rule IS 'core.maintenance.WORK_STEPS; a test holds the two equal.';
INSERT INTO servitize.advisory_rule (state, event, next_state, announce) VALUES
    ('resting', 'evidence', 'open', true),
    ('resting', 'escalated', 'open', true),
    ('open', 'evidence', 'open', false),
    ('open', 'escalated', 'open', true),
    ('open', 'accept', 'accepted', false),
    ('open', 'reject', 'rejected', false),
    ('open', 'defer', 'deferred', false),
    ('open', 'gone', 'resting', false),
    ('deferred', 'evidence', 'deferred', false),
    ('deferred', 'escalated', 'open', true),
    ('deferred', 'accept', 'accepted', false),
    ('deferred', 'reject', 'rejected', false),
    ('deferred', 'defer', 'deferred', false),
    ('deferred', 'deferral_over', 'open', true),
    ('deferred', 'gone', 'resting', false),
    ('rejected', 'evidence', 'rejected', false),
    ('rejected', 'escalated', 'open', true),
    ('rejected', 'accept', 'accepted', false),
    ('rejected', 'gone', 'resting', false),
    ('accepted', 'evidence', 'accepted', false),
    ('accepted', 'escalated', 'accepted', true),
    ('accepted', 'work_done', 'resting', true),
    ('accepted', 'work_cancelled', 'open', true),
    ('resting', 'work_reopened', 'accepted', false),
    ('open', 'work_reopened', 'accepted', false),
    ('deferred', 'work_reopened', 'accepted', false),
    ('rejected', 'work_reopened', 'accepted', false);
INSERT INTO servitize.work_rule (state, event, next_state, announce, ready) VALUES
    ('planned', 'approve', 'approved', false, NULL),
    ('approved', 'schedule', 'scheduled', true, NULL),
    ('scheduled', 'schedule', 'scheduled', true, NULL),
    ('scheduled', 'unschedule', 'approved', true, NULL),
    ('in_progress', 'complete', 'done', true, true),
    ('done', 'verify', 'verified', false, NULL),
    ('verified', 'close', 'closed', true, NULL),
    ('reopened', 'schedule', 'scheduled', true, NULL),
    ('approved', 'start', 'in_progress', false, NULL),
    ('scheduled', 'start', 'in_progress', false, NULL),
    ('reopened', 'start', 'in_progress', false, NULL),
    ('done', 'reopen', 'reopened', true, NULL),
    ('verified', 'reopen', 'reopened', true, NULL),
    ('closed', 'reopen', 'reopened', true, NULL),
    ('planned', 'cancel', 'cancelled', true, NULL),
    ('approved', 'cancel', 'cancelled', true, NULL),
    ('scheduled', 'cancel', 'cancelled', true, NULL),
    ('in_progress', 'cancel', 'cancelled', true, NULL),
    ('reopened', 'cancel', 'cancelled', true, NULL);

-- What the API publishes by way of whoever holds the broker (listens on channel servitize_notice): things that happened to a machine and that no
-- device says. Published, then committed; a crash between the two publishes again, and an event that comes twice is stored once.
CREATE TABLE servitize.stream_notice (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    topic        text NOT NULL,
    payload      bytea NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION servitize.take_notices(at_most int) RETURNS TABLE (topic text, payload bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY DELETE FROM servitize.stream_notice n
                  WHERE n.id IN (SELECT q.id FROM servitize.stream_notice q ORDER BY q.id LIMIT at_most FOR UPDATE SKIP LOCKED)
              RETURNING n.topic, n.payload;
END $$;
GRANT EXECUTE ON FUNCTION servitize.take_notices TO servitize_writer;

-- Raises where the tenant asking may not see or not operate the equipment of a thing.
CREATE FUNCTION servitize.require_operate(equipment int, thing text) RETURNS void
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF equipment IS NULL OR NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such %', thing USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
END $$;

-- One step of one advisory. Internal: the doors are record_evidence, operate_advisory, maintenance_timers, and steps of work.
-- Errors: SV404 there is none, SV409 not allowed in its state, SV400 what is asked makes no sense.
CREATE FUNCTION servitize.step_advisory(
    advisory bigint, happened text, happened_at timestamptz, who text, why text, facts jsonb,
    OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a          servitize.advisory;
    rule       servitize.advisory_rule;
    until      timestamptz;
    journal_id bigint;
    opens      boolean;
BEGIN
    SELECT * INTO a FROM servitize.advisory x WHERE x.id = advisory FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such advisory' USING ERRCODE = 'SV404';
    END IF;
    from_state := a.state;
    SELECT * INTO rule FROM servitize.advisory_rule r WHERE r.state = a.state AND r.event = happened;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an advisory in state % does not allow %', a.state, happened
            USING ERRCODE = 'SV409', HINT = 'read it again; its journal shows what happened';
    END IF;
    to_state := rule.next_state;
    announced := rule.announce;
    opens := from_state = 'resting' AND to_state = 'open';
    IF happened IN ('reject', 'defer') AND coalesce(btrim(why), '') = '' THEN
        RAISE EXCEPTION 'that needs a reason' USING ERRCODE = 'SV400';
    END IF;
    IF happened = 'defer' THEN
        until := servitize.from_us((facts->>'until')::bigint);
        IF until IS NULL OR until <= happened_at THEN
            RAISE EXCEPTION 'deferring needs an end in the future' USING ERRCODE = 'SV400';
        END IF;
    ELSIF to_state = 'deferred' THEN
        until := a.deferred_until;
    END IF;
    UPDATE servitize.advisory x
       SET state = to_state,
           outcome = CASE WHEN to_state <> 'resting' THEN NULL
                          WHEN happened = 'gone' THEN 'gone'
                          WHEN happened = 'work_done' THEN CASE WHEN facts->>'outcome' = 'no_fault_found' THEN 'unfounded' ELSE 'done' END
                          ELSE x.outcome END,
           priority = CASE WHEN facts->>'priority' IS NULL THEN x.priority
                           WHEN opens OR servitize.priority_rank(facts->>'priority') < servitize.priority_rank(x.priority)
                           THEN facts->>'priority' ELSE x.priority END,
           title = coalesce(facts->>'title', x.title),
           due_at = CASE WHEN facts ? 'due_at' THEN servitize.from_us((facts->>'due_at')::bigint) ELSE x.due_at END,
           due_rule = coalesce(facts->>'due_rule', x.due_rule),
           consequence = coalesce(facts->>'consequence', x.consequence),
           task = CASE WHEN facts ? 'task' THEN facts->>'task' ELSE x.task END,
           plan = coalesce(facts->'plan', x.plan),
           evidence = coalesce(facts->'evidence', x.evidence),
           gone_since = CASE WHEN happened IN ('evidence', 'escalated', 'work_done') THEN NULL ELSE x.gone_since END,
           occurrences = x.occurrences + opens::int,
           opened_at = CASE WHEN opens THEN happened_at ELSE x.opened_at END,
           deferred_until = until,
           decided_by = CASE WHEN happened IN ('accept', 'reject', 'defer') THEN who WHEN opens THEN NULL ELSE x.decided_by END,
           decided_at = CASE WHEN happened IN ('accept', 'reject', 'defer') THEN happened_at WHEN opens THEN NULL ELSE x.decided_at END,
           reason = CASE WHEN happened IN ('accept', 'reject', 'defer') THEN coalesce(why, '') WHEN opens THEN '' ELSE x.reason END,
           work_order_id = CASE WHEN happened IN ('accept', 'work_reopened') THEN (facts->>'work_order_id')::bigint
                                WHEN happened = 'work_cancelled' OR opens THEN NULL ELSE x.work_order_id END,
           revision = x.revision + 1,
           changed_at = greatest(happened_at, x.changed_at),
           updated_at = now()
     WHERE x.id = a.id
    RETURNING * INTO a;
    -- more of the same evidence is no news: kept in the row, not in the journal
    IF happened = 'evidence' AND NOT announced THEN
        RETURN;
    END IF;
    INSERT INTO servitize.advisory_journal
        (advisory_id, equipment_id, at, event, actor, reason, from_state, to_state, priority, due_at, announced, detail)
    VALUES (a.id, a.equipment_id, happened_at, happened, who, coalesce(why, ''), from_state, to_state, a.priority, a.due_at, announced,
            coalesce(facts, '{}') - 'plan' - 'evidence')
    RETURNING id INTO journal_id;
    INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
    SELECT e.tenant_id, e.id, CASE WHEN announced THEN 'advisory' ELSE 'advisory_change' END,
           jsonb_build_object(
               'subject', 'advisory/' || a.id, 'open', to_state = 'open', 'advisory_id', a.id, 'journal_id', journal_id,
               'equipment_id', e.id, 'equipment', e.key, 'component', a.component, 'failure_mode', a.failure_mode, 'event', happened,
               'from_state', from_state, 'state', to_state, 'at', servitize.to_us(happened_at), 'actor', who, 'reason', coalesce(why, ''),
               'priority', a.priority, 'title', a.title, 'due_at', servitize.to_us(a.due_at), 'action', coalesce(a.plan->>'name', ''),
               'consequence', a.consequence, 'work_order_id', a.work_order_id, 'outcome', a.outcome)
      FROM servitize.equipment e WHERE e.id = a.equipment_id;
END $$;

-- Evidence, by whoever follows alarms and prognoses, on equipment of the tenant asking. "holds": does any of it hold now?
-- More urgent than what people decided on, it asks them again.
CREATE FUNCTION servitize.record_evidence(
    on_equipment int, on_component text, mode text, seen_at timestamptz, holds boolean, facts jsonb,
    OUT advisory bigint, OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a servitize.advisory;
BEGIN
    IF NOT EXISTS (SELECT FROM servitize.equipment e WHERE e.id = on_equipment AND e.tenant_id = servitize.current_tenant()) THEN
        RAISE EXCEPTION 'there is no such equipment' USING ERRCODE = 'SV404';
    END IF;
    IF holds THEN
        INSERT INTO servitize.advisory (equipment_id, component, failure_mode, priority, changed_at)
        VALUES (on_equipment, on_component, mode, facts->>'priority', seen_at)
        ON CONFLICT (equipment_id, component, failure_mode) DO NOTHING;
    END IF;
    SELECT * INTO a FROM servitize.advisory x
     WHERE x.equipment_id = on_equipment AND x.component = on_component AND x.failure_mode = mode FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    advisory := a.id;
    IF holds THEN
        SELECT s.from_state, s.to_state, s.announced INTO from_state, to_state, announced
          FROM servitize.step_advisory(
              a.id, CASE WHEN a.state <> 'resting' AND servitize.priority_rank(facts->>'priority') < servitize.priority_rank(a.priority)
                         THEN 'escalated' ELSE 'evidence' END, seen_at, 'evidence', '', facts) s;
    ELSE
        UPDATE servitize.advisory x
           SET evidence = coalesce(facts->'evidence', x.evidence), gone_since = coalesce(x.gone_since, seen_at),
               revision = x.revision + 1, updated_at = now()
         WHERE x.id = a.id;
        from_state := a.state;
        to_state := a.state;
        announced := false;
    END IF;
END $$;

-- One step of one work order. Internal: the doors are operate_work and judge_work.
CREATE FUNCTION servitize.step_work(
    work bigint, happened text, happened_at timestamptz, who text, why text, facts jsonb,
    OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w          servitize.work_order;
    rule       servitize.work_rule;
    is_ready   boolean;
    journal_id bigint;
    adv        servitize.advisory;
BEGIN
    -- the advisory first, as those who come from its side do
    PERFORM FROM servitize.advisory x
      WHERE x.id = (SELECT o.advisory_id FROM servitize.work_order o WHERE o.id = work) FOR UPDATE;
    SELECT * INTO w FROM servitize.work_order x WHERE x.id = work FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such work order' USING ERRCODE = 'SV404';
    END IF;
    from_state := w.state;
    is_ready := NOT EXISTS (SELECT FROM jsonb_array_elements(w.checklist) c
                             WHERE (c->>'obligatory')::boolean AND c->>'done_at' IS NULL);
    SELECT * INTO rule FROM servitize.work_rule r
     WHERE r.state = w.state AND r.event = happened AND (r.ready IS NULL OR r.ready = is_ready);
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM servitize.work_rule r WHERE r.state = w.state AND r.event = happened) THEN
            RAISE EXCEPTION 'its checklist is not finished' USING ERRCODE = 'SV409', HINT = 'tick what has been done, then complete it';
        END IF;
        RAISE EXCEPTION 'a work order in state % does not allow %', w.state, happened
            USING ERRCODE = 'SV409', HINT = 'read it again; its journal shows what happened';
    END IF;
    to_state := rule.next_state;
    announced := rule.announce;
    IF happened IN ('cancel', 'reopen') AND coalesce(btrim(why), '') = '' THEN
        RAISE EXCEPTION 'that needs a reason' USING ERRCODE = 'SV400';
    END IF;
    UPDATE servitize.work_order x
       SET state = to_state,
           scheduled_start = CASE happened WHEN 'schedule' THEN servitize.from_us((facts->>'start')::bigint)
                                           WHEN 'unschedule' THEN NULL ELSE x.scheduled_start END,
           scheduled_end = CASE happened WHEN 'schedule' THEN servitize.from_us((facts->>'end')::bigint)
                                         WHEN 'unschedule' THEN NULL ELSE x.scheduled_end END,
           crew = CASE WHEN happened = 'schedule' THEN coalesce(facts->>'crew', '') ELSE x.crew END,
           approved_by = CASE WHEN happened = 'approve' THEN who ELSE x.approved_by END,
           started_at = CASE WHEN happened = 'start' THEN happened_at ELSE x.started_at END,
           done_at = CASE happened WHEN 'complete' THEN happened_at WHEN 'reopen' THEN NULL ELSE x.done_at END,
           outcome = CASE happened WHEN 'complete' THEN coalesce(facts->>'outcome', 'repaired') WHEN 'reopen' THEN NULL ELSE x.outcome END,
           findings = CASE WHEN happened = 'complete' THEN coalesce(facts->>'findings', '') ELSE x.findings END,
           verification = CASE WHEN happened IN ('complete', 'start') THEN '{}' ELSE coalesce(facts->'verification', x.verification) END,
           -- a second attempt goes through the list again
           checklist = CASE WHEN happened <> 'reopen' THEN x.checklist
                            ELSE (SELECT coalesce(jsonb_agg(c.line || '{"done_at": null, "by": null}' ORDER BY c.n), '[]')
                                    FROM jsonb_array_elements(x.checklist) WITH ORDINALITY c (line, n)) END,
           closed_at = CASE happened WHEN 'close' THEN happened_at WHEN 'reopen' THEN NULL ELSE x.closed_at END,
           reopenings = x.reopenings + (happened = 'reopen')::int,
           revision = x.revision + 1,
           changed_at = greatest(happened_at, x.changed_at),
           updated_at = now()
     WHERE x.id = w.id
    RETURNING * INTO w;
    INSERT INTO servitize.work_journal (work_order_id, equipment_id, at, event, actor, reason, from_state, to_state, announced, detail)
    VALUES (w.id, w.equipment_id, happened_at, happened, who, coalesce(why, ''), from_state, to_state, announced, coalesce(facts, '{}'))
    RETURNING id INTO journal_id;
    INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
    SELECT e.tenant_id, e.id, CASE WHEN announced THEN 'work_order' ELSE 'work_order_change' END,
           jsonb_build_object(
               'subject', 'work_order/' || w.id, 'open', to_state NOT IN ('closed', 'cancelled', 'verified'), 'work_order_id', w.id,
               'advisory_id', w.advisory_id, 'journal_id', journal_id, 'equipment_id', e.id, 'equipment', e.key, 'component', w.component,
               'failure_mode', w.failure_mode, 'event', happened, 'from_state', from_state, 'state', to_state,
               'at', servitize.to_us(happened_at), 'actor', who, 'reason', coalesce(why, ''), 'priority', w.priority, 'title', w.title,
               'due_at', servitize.to_us(w.due_at), 'scheduled_start', servitize.to_us(w.scheduled_start), 'outcome', w.outcome,
               'action', coalesce(w.plan->>'name', ''))
      FROM servitize.equipment e WHERE e.id = w.equipment_id;
    -- what was renewed is learned anew: said on the stream, so that every processor hears it at the same place
    IF happened = 'complete' AND w.outcome = 'repaired' THEN
        INSERT INTO servitize.stream_notice (equipment_id, topic, payload)
        SELECT e.id, 'servitize/v1/' || t.slug || '/' || e.key || '/event',
               convert_to(jsonb_build_object(
                   'ts', servitize.to_us(happened_at) / 1000, 'kind', 'maintenance',
                   'body', jsonb_build_object('work_order', w.id, 'component', w.component, 'task', w.task, 'title', w.title,
                                              'outcome', w.outcome, 'renewed', coalesce(w.plan->'renews', '[]')))::text, 'UTF8')
          FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id WHERE e.id = w.equipment_id;
        PERFORM pg_notify('servitize_notice', '');
    END IF;
    -- what turned out to be true is a label; one that was wrong is taken back
    IF happened = 'close' AND w.kind = 'corrective' AND w.outcome IN ('repaired', 'no_fault_found') THEN
        PERFORM servitize.store_outcome(
            w.equipment_id, coalesce((SELECT c.key FROM servitize.component c WHERE c.equipment_id = w.equipment_id AND c.key = w.component), ''),
            coalesce(w.failure_mode, ''), least(coalesce(w.done_at, happened_at), clock_timestamp()),
            CASE w.outcome WHEN 'repaired' THEN 'defect' ELSE 'healthy' END, w.findings, 'work-order', w.id::text, who);
    ELSIF happened = 'reopen' THEN
        UPDATE servitize.confirmed_outcome o SET withdrawn_at = now(), withdrawn_by = who
         WHERE o.equipment_id = w.equipment_id AND o.source = 'work-order' AND o.reference = w.id::text AND o.withdrawn_at IS NULL;
    END IF;
    IF w.advisory_id IS NOT NULL AND happened IN ('close', 'cancel', 'reopen') THEN
        SELECT * INTO adv FROM servitize.advisory x WHERE x.id = w.advisory_id;
        IF happened = 'reopen' AND adv.state <> 'accepted' THEN
            PERFORM servitize.step_advisory(adv.id, 'work_reopened', happened_at, who, why, jsonb_build_object('work_order_id', w.id));
        ELSIF happened <> 'reopen' AND adv.state = 'accepted' AND adv.work_order_id = w.id THEN
            PERFORM servitize.step_advisory(
                adv.id, CASE happened WHEN 'close' THEN 'work_done' ELSE 'work_cancelled' END, happened_at, who, why,
                jsonb_build_object('work_order_id', w.id, 'outcome', w.outcome));
        END IF;
    END IF;
END $$;

-- A work order, planned. Internal: the doors are operate_advisory (accept) and plan_work.
CREATE FUNCTION servitize.make_work(
    on_equipment int, on_component text, for_advisory bigint, as_kind text, as_task text, mode text, named text, how_urgent text,
    due timestamptz, with_plan jsonb, who text, moment timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO servitize.work_order AS w
        (equipment_id, component, advisory_id, kind, task, failure_mode, title, priority, due_at, plan, checklist, created_by, changed_at)
    VALUES (on_equipment, on_component, for_advisory, as_kind, as_task, mode, named, how_urgent, due, coalesce(with_plan, '{}'),
            (SELECT coalesce(jsonb_agg(jsonb_build_object('text', s.text, 'obligatory', s.must, 'done_at', NULL, 'by', NULL, 'note', '')
                                       ORDER BY s.must DESC, s.n), '[]')
               FROM (SELECT e.text, e.n, true AS must FROM jsonb_array_elements_text(coalesce(with_plan->'steps', '[]'))
                            WITH ORDINALITY e (text, n)
                     UNION ALL
                     SELECT e.text, e.n, false FROM jsonb_array_elements_text(coalesce(with_plan->'optional_steps', '[]'))
                            WITH ORDINALITY e (text, n)) s),
            who, moment)
    RETURNING w.id INTO made;
    INSERT INTO servitize.work_journal (work_order_id, equipment_id, at, event, actor, from_state, to_state, announced)
    VALUES (made, on_equipment, moment, 'plan', who, 'planned', 'planned', true);
    INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
    SELECT e.tenant_id, e.id, 'work_order',
           jsonb_build_object('subject', 'work_order/' || made, 'open', true, 'work_order_id', made, 'advisory_id', for_advisory,
                              'equipment_id', e.id, 'equipment', e.key, 'component', on_component, 'failure_mode', mode, 'event', 'plan',
                              'from_state', 'planned', 'state', 'planned', 'at', servitize.to_us(moment), 'actor', who, 'reason', '',
                              'priority', how_urgent, 'title', named, 'due_at', servitize.to_us(due),
                              'action', coalesce(with_plan->>'name', ''))
      FROM servitize.equipment e WHERE e.id = on_equipment;
    RETURN made;
END $$;

-- People's door to an advisory. Accepting it makes the work order. What the tenant asking may not see does not exist (SV404).
CREATE FUNCTION servitize.operate_advisory(
    advisory bigint, command text, who text, why text DEFAULT '', until timestamptz DEFAULT NULL,
    OUT from_state text, OUT to_state text, OUT announced boolean, OUT work_order_id bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a      servitize.advisory;
    facts  jsonb := '{}';
    moment timestamptz := servitize.timeline_now();
BEGIN
    SELECT x.* INTO a FROM servitize.advisory x WHERE x.id = advisory;
    PERFORM servitize.require_operate(a.equipment_id, 'advisory');
    IF command NOT IN ('accept', 'reject', 'defer') THEN
        RAISE EXCEPTION '% is no command of a person', command USING ERRCODE = 'SV400';
    END IF;
    SELECT x.* INTO a FROM servitize.advisory x WHERE x.id = advisory FOR UPDATE;
    IF command = 'defer' THEN
        facts := jsonb_build_object('until', servitize.to_us(until));
    ELSIF command = 'accept' AND EXISTS (SELECT FROM servitize.advisory_rule r WHERE r.state = a.state AND r.event = command) THEN
        work_order_id := servitize.make_work(
            a.equipment_id, a.component, a.id, 'corrective', a.task, a.failure_mode,
            coalesce(a.plan->>'name', a.title), a.priority, a.due_at, a.plan, who, moment);
        facts := jsonb_build_object('work_order_id', work_order_id);
    END IF;
    SELECT s.from_state, s.to_state, s.announced INTO from_state, to_state, announced
      FROM servitize.step_advisory(a.id, command, moment, who, why, facts) s;
END $$;

CREATE FUNCTION servitize.plan_work(
    equipment int, component text, kind text, task text, failure_mode text, title text, priority text, due timestamptz, plan jsonb, who text)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM servitize.require_operate(equipment, 'equipment');
    IF component <> '' AND NOT EXISTS (SELECT FROM servitize.component c WHERE c.equipment_id = equipment AND c.key = component) THEN
        RAISE EXCEPTION 'it has no component %', quote_literal(component) USING ERRCODE = 'SV400';
    END IF;
    RETURN servitize.make_work(equipment, component, NULL, kind, task, failure_mode, title, priority, due, plan, who,
                               servitize.timeline_now());
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'this task is planned there already' USING ERRCODE = 'SV409', HINT = 'look for its unfinished work order';
END $$;

-- People's door to a work order. "moment": when it happened (NULL: now of the tenant's timeline).
CREATE FUNCTION servitize.operate_work(
    work bigint, command text, who text, why text DEFAULT '', facts jsonb DEFAULT '{}', moment timestamptz DEFAULT NULL,
    OUT from_state text, OUT to_state text, OUT announced boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w servitize.work_order;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
    PERFORM servitize.require_operate(w.equipment_id, 'work order');
    SELECT s.from_state, s.to_state, s.announced INTO from_state, to_state, announced
      FROM servitize.step_work(w.id, command, coalesce(moment, servitize.timeline_now()), who, why, facts) s;
END $$;

CREATE FUNCTION servitize.tick_work(work bigint, line int, done boolean, who text, remark text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w servitize.work_order;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
    PERFORM servitize.require_operate(w.equipment_id, 'work order');
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work FOR UPDATE;
    IF w.state <> 'in_progress' THEN
        RAISE EXCEPTION 'a checklist is ticked while the work is in progress' USING ERRCODE = 'SV409', HINT = 'start the work order';
    END IF;
    IF line NOT BETWEEN 0 AND jsonb_array_length(w.checklist) - 1 THEN
        RAISE EXCEPTION 'there is no such line in the checklist' USING ERRCODE = 'SV404';
    END IF;
    UPDATE servitize.work_order x
       SET checklist = jsonb_set(x.checklist, ARRAY[line::text], x.checklist->line || jsonb_build_object(
               'done_at', CASE WHEN done THEN to_char(servitize.timeline_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
               'by', CASE WHEN done THEN who END, 'note', coalesce(remark, ''))),
           revision = x.revision + 1, updated_at = now()
     WHERE x.id = w.id;
END $$;

-- What was done and used; only while people are at it or have just been.
CREATE FUNCTION servitize.enter_work(
    work bigint, as_kind text, named text, amount numeric, in_unit text, costs numeric, remark text, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w    servitize.work_order;
    made bigint;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
    PERFORM servitize.require_operate(w.equipment_id, 'work order');
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work FOR UPDATE;
    IF w.state NOT IN ('in_progress', 'done', 'verified') THEN
        RAISE EXCEPTION 'a work order in state % takes no entries', w.state USING ERRCODE = 'SV409', HINT = 'start it';
    END IF;
    INSERT INTO servitize.work_entry (work_order_id, equipment_id, at, actor, kind, item, quantity, unit, cost, note)
    VALUES (w.id, w.equipment_id, servitize.timeline_now(), who, as_kind, named, amount, in_unit, costs, remark)
    RETURNING id INTO made;
    UPDATE servitize.work_order x SET revision = x.revision + 1, updated_at = now() WHERE x.id = w.id;
    RETURN made;
END $$;

CREATE FUNCTION servitize.keep_photo(work bigint, picture bytea, kind text, remark text, who text) RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w servitize.work_order;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work;
    PERFORM servitize.require_operate(w.equipment_id, 'work order');
    SELECT x.* INTO w FROM servitize.work_order x WHERE x.id = work FOR UPDATE;
    IF (SELECT coalesce(sum(length(p.content)), 0) FROM servitize.work_photo p WHERE p.work_order_id = w.id) + length(picture) > 40 * 1048576 THEN
        RAISE EXCEPTION 'a work order keeps at most 40 MB of photos' USING ERRCODE = 'SV409', HINT = 'send smaller ones';
    END IF;
    INSERT INTO servitize.work_photo (work_order_id, sha256, equipment_id, media_type, content, note, actor, at)
    VALUES (w.id, sha256(picture), w.equipment_id, kind, picture, remark, who, servitize.timeline_now())
    ON CONFLICT DO NOTHING;
    RETURN sha256(picture);
END $$;

-- --- following and timers: what runs beside the requests, one tenant at a time ---

CREATE TABLE servitize.maintenance_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq bigint NOT NULL
);
COMMENT ON TABLE servitize.maintenance_head IS 'Up to which number events were looked through for tenants whose alarms are news.';
-- what was told before there were advisories stays told: only what still stands becomes one, by the next event about it
INSERT INTO servitize.maintenance_head (seq) SELECT h.seq FROM servitize.outbox_head h;

CREATE TABLE servitize.maintenance_cursor (
    tenant_id int PRIMARY KEY REFERENCES servitize.tenant,
    seq       bigint NOT NULL,
    wanted    bigint NOT NULL
);
COMMENT ON TABLE servitize.maintenance_cursor IS 'Per tenant: number of the last event made evidence of, and up to which there is news.';

-- Numbers of the tenants that have news (events not looked at), or timers and watches to look after. Says nothing of what they are.
CREATE FUNCTION servitize.maintenance_tenants(with_timers boolean) RETURNS SETOF int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seen bigint;
    head bigint;
BEGIN
    SELECT m.seq INTO seen FROM servitize.maintenance_head m FOR UPDATE SKIP LOCKED;
    IF seen IS NOT NULL THEN
        SELECT h.seq INTO head FROM servitize.outbox_head h;
        IF head > seen THEN
            INSERT INTO servitize.maintenance_cursor AS c (tenant_id, seq, wanted)
            SELECT e.tenant_id, seen, max(o.seq)
              FROM servitize.outbox o JOIN servitize.equipment e ON e.id = o.equipment_id
             WHERE o.seq > seen AND o.seq <= head AND o.kind IN ('alarm', 'alarm_change')
             GROUP BY e.tenant_id
            ON CONFLICT (tenant_id) DO UPDATE SET wanted = greatest(c.wanted, excluded.wanted);
            UPDATE servitize.maintenance_head SET seq = head;
        END IF;
    END IF;
    RETURN QUERY
        SELECT c.tenant_id FROM servitize.maintenance_cursor c WHERE c.wanted > c.seq
        UNION
        SELECT e.tenant_id FROM servitize.advisory a JOIN servitize.equipment e ON e.id = a.equipment_id
         WHERE with_timers AND (a.state = 'deferred' OR (a.gone_since IS NOT NULL AND a.state IN ('open', 'rejected')))
        UNION
        SELECT e.tenant_id FROM servitize.work_order w JOIN servitize.equipment e ON e.id = w.equipment_id
         WHERE with_timers AND w.state IN ('done', 'verified');
END $$;

-- The news of the tenant asking: held to the end of the transaction, so that two followers never work on the same.
CREATE FUNCTION servitize.take_news(OUT after bigint, OUT upto bigint)
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.seq, c.wanted FROM servitize.maintenance_cursor c
     WHERE c.tenant_id = servitize.current_tenant() AND c.wanted > c.seq FOR UPDATE SKIP LOCKED
$$;

CREATE FUNCTION servitize.finish_news(upto bigint) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE servitize.maintenance_cursor c SET seq = greatest(c.seq, least(upto, c.wanted))
     WHERE c.tenant_id = servitize.current_tenant()
$$;

-- Deferrals that are over and evidence that has been away for a day, of the tenant asking, by its timeline. Timers live in the tables, so they
-- survive every restart; what somebody holds at this moment comes with the next call.
CREATE FUNCTION servitize.maintenance_timers() RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a      record;
    moment timestamptz := servitize.timeline_now();
    done   int := 0;
BEGIN
    FOR a IN SELECT x.id, x.deferred_until FROM servitize.advisory x JOIN servitize.equipment e ON e.id = x.equipment_id
              WHERE e.tenant_id = servitize.current_tenant() AND x.state = 'deferred' AND x.deferred_until <= moment
              ORDER BY x.deferred_until, x.id FOR UPDATE OF x SKIP LOCKED
    LOOP
        PERFORM servitize.step_advisory(a.id, 'deferral_over', a.deferred_until, 'timer', 'the time it was put off for is over', '{}');
        done := done + 1;
    END LOOP;
    FOR a IN SELECT x.id, x.gone_since FROM servitize.advisory x JOIN servitize.equipment e ON e.id = x.equipment_id
              WHERE e.tenant_id = servitize.current_tenant() AND x.state IN ('open', 'deferred', 'rejected')
                AND x.gone_since <= moment - interval '1 day'
              ORDER BY x.gone_since, x.id FOR UPDATE OF x SKIP LOCKED
    LOOP
        PERFORM servitize.step_advisory(a.id, 'gone', a.gone_since + interval '1 day', 'timer', 'nothing of the evidence has held for a day', '{}');
        done := done + 1;
    END LOOP;
    RETURN done;
END $$;

-- What the telemetry says after a repair, written down and, where it says enough, acted on. By whoever watches, on equipment of the tenant asking.
CREATE FUNCTION servitize.judge_work(work bigint, verdict text, moment timestamptz, why text, seen jsonb, OUT to_state text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    w servitize.work_order;
BEGIN
    SELECT x.* INTO w FROM servitize.work_order x JOIN servitize.equipment e ON e.id = x.equipment_id
     WHERE x.id = work AND e.tenant_id = servitize.current_tenant();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such work order' USING ERRCODE = 'SV404';
    END IF;
    to_state := w.state;
    IF w.state <> 'done' THEN
        RETURN;
    END IF;
    IF verdict = 'verified' THEN
        PERFORM servitize.step_work(w.id, 'verify', moment, 'watch', why, jsonb_build_object('verification', seen));
        SELECT s.to_state INTO to_state FROM servitize.step_work(w.id, 'close', moment, 'watch', '', '{}') s;
    ELSIF verdict = 'relapsed' THEN
        SELECT s.to_state INTO to_state
          FROM servitize.step_work(w.id, 'reopen', moment, 'watch', why, jsonb_build_object('verification', seen)) s;
    ELSE
        UPDATE servitize.work_order x SET verification = seen WHERE x.id = w.id AND x.verification IS DISTINCT FROM seen;
    END IF;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['advisory', 'advisory_journal', 'work_order', 'work_journal', 'work_entry', 'work_photo', 'advisory_rule',
                                'work_rule', 'stream_notice', 'maintenance_head', 'maintenance_cursor']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['advisory', 'advisory_journal', 'work_order', 'work_journal', 'work_entry', 'work_photo']
    LOOP
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_api', name);
    END LOOP;
END $$;
CREATE POLICY everybody ON servitize.advisory_rule FOR SELECT TO servitize_api, servitize_board USING (true);
CREATE POLICY everybody ON servitize.work_rule FOR SELECT TO servitize_api, servitize_board USING (true);
GRANT SELECT ON servitize.advisory, servitize.advisory_journal, servitize.work_order, servitize.work_journal, servitize.work_entry,
    servitize.advisory_rule, servitize.work_rule TO servitize_api, servitize_board;
GRANT EXECUTE ON FUNCTION servitize.require_operate, servitize.record_evidence, servitize.operate_advisory, servitize.plan_work,
    servitize.operate_work, servitize.tick_work, servitize.enter_work, servitize.keep_photo, servitize.maintenance_tenants,
    servitize.take_news, servitize.finish_news, servitize.maintenance_timers, servitize.judge_work TO servitize_api;
