-- Cases: what was seen, what is thought, what was found. Evidence is frozen with the case, opinion and inspection stand apart, every
-- step is journalled, and the outcome is a label.

CREATE TABLE servitize.diagnosis_case (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    component     text NOT NULL,
    title         text NOT NULL,
    origin        text NOT NULL CHECK (origin IN ('alarm', 'person')),
    alarm_id      bigint REFERENCES servitize.alarm,
    state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'concluded', 'signed', 'closed')),
    about         timestamptz NOT NULL,
    opened_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    opened_by     text NOT NULL,
    diagnosis     jsonb,
    evidence      jsonb,
    diagnosed_at  timestamptz,
    attempts      int NOT NULL DEFAULT 0,
    conclusion    jsonb,
    concluded_by  text,
    concluded_at  timestamptz,
    signed_by     text,
    signed_at     timestamptz,
    found         jsonb,
    found_by      text,
    found_at      timestamptz,
    outcome       text CHECK (outcome IN ('confirmed', 'another_fault', 'nothing_found'))
);
COMMENT ON COLUMN servitize.diagnosis_case.about IS 'The moment it is about, in event time; evidence is what had come by then.';
COMMENT ON COLUMN servitize.diagnosis_case.evidence IS 'Frozen: trends, and which waveform plays which part.';
COMMENT ON COLUMN servitize.diagnosis_case.conclusion IS 'Opinion: mode, component, text.';
COMMENT ON COLUMN servitize.diagnosis_case.found IS 'Found at inspection: mode, component, text.';
CREATE INDEX diagnosis_case_equipment ON servitize.diagnosis_case (equipment_id, id);
CREATE UNIQUE INDEX diagnosis_case_open ON servitize.diagnosis_case (equipment_id, component) WHERE state <> 'closed';

CREATE TABLE servitize.case_entry (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id      bigint NOT NULL REFERENCES servitize.diagnosis_case,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    event        text NOT NULL,
    actor        text NOT NULL,
    from_state   text NOT NULL,
    to_state     text NOT NULL,
    body         jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX case_entry_case ON servitize.case_entry (case_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.case_entry
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

CREATE TABLE servitize.case_waveform (
    case_id      bigint NOT NULL REFERENCES servitize.diagnosis_case,
    waveform_id  bigint NOT NULL REFERENCES servitize.waveform,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    part         text NOT NULL CHECK (part IN ('present', 'baseline', 'history')),
    PRIMARY KEY (case_id, waveform_id)
);
CREATE INDEX case_waveform_waveform ON servitize.case_waveform (waveform_id);

CREATE TABLE servitize.case_rule (
    state      text NOT NULL,
    event      text NOT NULL,
    next_state text NOT NULL,
    PRIMARY KEY (state, event)
);
COMMENT ON TABLE servitize.case_rule IS 'core.case.TRANSITIONS; a test holds the two equal.';
INSERT INTO servitize.case_rule (state, event, next_state) VALUES
    ('open', 'conclude', 'concluded'), ('concluded', 'conclude', 'concluded'),
    ('concluded', 'sign', 'signed'), ('concluded', 'disagree', 'open'),
    ('open', 'close', 'closed'), ('signed', 'close', 'closed'),
    ('signed', 'reopen', 'open'), ('closed', 'reopen', 'open'),
    ('open', 'note', 'open'), ('concluded', 'note', 'concluded'), ('signed', 'note', 'signed'), ('closed', 'note', 'closed'),
    ('open', 'find', 'open'), ('concluded', 'find', 'concluded'), ('signed', 'find', 'signed'), ('closed', 'find', 'closed'),
    ('open', 'diagnose', 'open'), ('concluded', 'diagnose', 'concluded'), ('signed', 'diagnose', 'signed'),
    ('open', 'alarm', 'open'), ('concluded', 'alarm', 'concluded'), ('signed', 'alarm', 'signed');

-- Somebody asks a device for a waveform: which channels, how long. Fulfilled by the waveform that names the request.
CREATE TABLE servitize.capture_request (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    word         text NOT NULL UNIQUE DEFAULT replace(gen_random_uuid()::text, '-', ''),
    channels     text[] NOT NULL,
    seconds      float8 NOT NULL CHECK (seconds > 0 AND seconds <= 60),
    reason       text NOT NULL DEFAULT '',
    case_id      bigint REFERENCES servitize.diagnosis_case,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 hour',
    sent_at      timestamptz
);
COMMENT ON COLUMN servitize.capture_request.word IS 'What the device repeats as the waveform''s request.';
CREATE INDEX capture_request_unsent ON servitize.capture_request (id) WHERE sent_at IS NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['diagnosis_case', 'case_entry', 'case_waveform', 'capture_request']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer, servitize_api, servitize_board', name);
    END LOOP;
    ALTER TABLE servitize.case_rule ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY platform ON servitize.case_rule TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
    CREATE POLICY everybody ON servitize.case_rule FOR SELECT TO servitize_api, servitize_board USING (true);
    GRANT SELECT ON servitize.case_rule TO servitize_writer, servitize_api, servitize_board;
    GRANT UPDATE (sent_at) ON servitize.capture_request TO servitize_writer;
END $$;

-- What models learn from: what was said, what was concluded, what was found.
CREATE VIEW servitize.diagnosis_label WITH (security_barrier) AS
SELECT c.id AS case_id, c.equipment_id, c.component, c.about, c.diagnosis->'findings'->0->>'mode' AS said_mode,
       c.conclusion->>'mode' AS concluded_mode, c.found->>'mode' AS found_mode, c.found->>'component' AS found_component, c.outcome
  FROM servitize.diagnosis_case c
 WHERE c.outcome IS NOT NULL AND c.equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m);
GRANT SELECT ON servitize.diagnosis_label TO servitize_api, servitize_board;

-- Does the type take waveforms at this component, or at one above or below it?
CREATE FUNCTION servitize.has_waveforms(equipment int, component text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (
        SELECT FROM servitize.equipment e
          JOIN servitize.equipment_type t ON t.key = e.type_key
         CROSS JOIN LATERAL jsonb_array_elements(coalesce(t.document->'waveforms', '[]')) w
         CROSS JOIN LATERAL (SELECT regexp_replace(replace(w->>'component', '.', '\.'), '\{\w+\}', '[^.]+', 'g') AS pattern) p
         WHERE e.id = equipment AND component ~ ('^' || p.pattern || '$'));

-- One step of a case, under its row's lock, by the rules.
CREATE FUNCTION servitize.step_case(on_case bigint, happened text, who text, facts jsonb, OUT from_state text, OUT to_state text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    c    servitize.diagnosis_case;
    at   timestamptz := clock_timestamp();
BEGIN
    SELECT * INTO c FROM servitize.diagnosis_case x WHERE x.id = on_case FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no such case' USING ERRCODE = 'SV404';
    END IF;
    from_state := c.state;
    SELECT r.next_state INTO to_state FROM servitize.case_rule r WHERE r.state = c.state AND r.event = happened;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a case that is % does not allow %', c.state, happened
            USING ERRCODE = 'SV409', HINT = 'read the case again; its journal shows what happened meanwhile';
    END IF;
    IF happened = 'sign' AND who = c.concluded_by THEN
        RAISE EXCEPTION 'a second analyst signs, not the one who concluded' USING ERRCODE = 'SV409';
    END IF;
    IF happened = 'reopen' AND EXISTS (
        SELECT FROM servitize.diagnosis_case o WHERE o.equipment_id = c.equipment_id AND o.component = c.component
           AND o.state <> 'closed' AND o.id <> c.id) THEN
        RAISE EXCEPTION 'another case of this component is open' USING ERRCODE = 'SV409', HINT = 'go on with that one';
    END IF;
    UPDATE servitize.diagnosis_case x
       SET state = to_state,
           diagnosis = CASE WHEN happened = 'diagnose' THEN facts->'diagnosis' ELSE x.diagnosis END,
           evidence = CASE WHEN happened = 'diagnose' THEN facts->'evidence' ELSE x.evidence END,
           diagnosed_at = CASE WHEN happened = 'diagnose' THEN at ELSE x.diagnosed_at END,
           conclusion = CASE WHEN happened = 'conclude' THEN facts ELSE x.conclusion END,
           concluded_by = CASE WHEN happened = 'conclude' THEN who ELSE x.concluded_by END,
           concluded_at = CASE WHEN happened = 'conclude' THEN at ELSE x.concluded_at END,
           signed_by = CASE WHEN happened = 'sign' THEN who WHEN to_state IN ('open', 'concluded') THEN NULL ELSE x.signed_by END,
           signed_at = CASE WHEN happened = 'sign' THEN at WHEN to_state IN ('open', 'concluded') THEN NULL ELSE x.signed_at END,
           found = CASE WHEN happened = 'find' THEN facts ELSE x.found END,
           found_by = CASE WHEN happened = 'find' THEN who ELSE x.found_by END,
           found_at = CASE WHEN happened = 'find' THEN at ELSE x.found_at END
     WHERE x.id = c.id
    RETURNING * INTO c;
    UPDATE servitize.diagnosis_case x
       SET outcome = CASE WHEN c.found IS NULL THEN NULL
                          WHEN coalesce(c.found->>'mode', '') = '' THEN 'nothing_found'
                          WHEN c.found->>'mode' = coalesce(c.conclusion->>'mode', c.diagnosis->'findings'->0->>'mode') THEN 'confirmed'
                          ELSE 'another_fault' END
     WHERE x.id = c.id;
    INSERT INTO servitize.case_entry (case_id, equipment_id, at, event, actor, from_state, to_state, body)
    VALUES (c.id, c.equipment_id, at, happened, who, from_state, to_state,
            CASE WHEN happened = 'diagnose' THEN facts->'diagnosis' ELSE facts END);
    INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
    SELECT e.tenant_id, e.id, 'case',
           jsonb_build_object('case_id', c.id, 'equipment_id', e.id, 'equipment', e.key, 'component', c.component, 'title', c.title,
                              'event', happened, 'state', to_state, 'actor', who, 'at', servitize.to_us(at))
      FROM servitize.equipment e WHERE e.id = c.equipment_id;
END $$;

CREATE FUNCTION servitize.new_case(equipment int, component text, title text, origin text, alarm bigint, about timestamptz, who text)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    made bigint;
BEGIN
    INSERT INTO servitize.diagnosis_case AS c (equipment_id, component, title, origin, alarm_id, about, opened_by)
    VALUES (new_case.equipment, new_case.component, new_case.title, new_case.origin, new_case.alarm, new_case.about, new_case.who)
    ON CONFLICT (equipment_id, component) WHERE state <> 'closed' DO NOTHING
    RETURNING c.id INTO made;
    IF made IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO servitize.case_entry (case_id, equipment_id, event, actor, from_state, to_state, body)
    VALUES (made, new_case.equipment, 'opened', new_case.who, 'open', 'open',
            jsonb_build_object('title', new_case.title, 'alarm_id', new_case.alarm));
    INSERT INTO servitize.outbox (tenant_id, equipment_id, kind, payload)
    SELECT e.tenant_id, e.id, 'case',
           jsonb_build_object('case_id', made, 'equipment_id', e.id, 'equipment', e.key, 'component', new_case.component,
                              'title', new_case.title, 'event', 'opened', 'state', 'open', 'actor', new_case.who,
                              'at', servitize.to_us(clock_timestamp()))
      FROM servitize.equipment e WHERE e.id = new_case.equipment;
    PERFORM pg_notify('servitize_case', made::text);
    RETURN made;
END $$;

-- An announced alarm of the machine, where waveforms are taken: a case, or a line in the journal of the one that is open.
CREATE FUNCTION servitize.case_of_alarm() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a     servitize.alarm;
    known bigint;
BEGIN
    SELECT * INTO a FROM servitize.alarm x WHERE x.id = NEW.alarm_id;
    IF a.concern <> 'machine' OR NOT servitize.has_waveforms(a.equipment_id, a.component) THEN
        RETURN NULL;
    END IF;
    IF servitize.new_case(a.equipment_id, a.component, a.title, 'alarm', a.id, NEW.at, 'alarm') IS NULL THEN
        SELECT c.id INTO known FROM servitize.diagnosis_case c
         WHERE c.equipment_id = a.equipment_id AND c.component = a.component AND c.state <> 'closed';
        PERFORM servitize.step_case(known, 'alarm', 'alarm', jsonb_build_object('alarm_id', a.id, 'title', a.title));
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- a case that cannot be opened is no reason to withhold an alarm
    RAISE WARNING 'no case of alarm %: %', NEW.alarm_id, SQLERRM;
    RETURN NULL;
END $$;
CREATE TRIGGER opens_case AFTER INSERT ON servitize.alarm_journal
    FOR EACH ROW WHEN (NEW.announced AND NEW.event IN ('raised', 'unsuppressed')) EXECUTE FUNCTION servitize.case_of_alarm();

-- For the API, on behalf of the tenant asking.
CREATE FUNCTION servitize.open_case(equipment int, component text, title text, about timestamptz, who text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    IF NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such equipment' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    IF NOT EXISTS (SELECT FROM servitize.component k WHERE k.equipment_id = equipment AND k.key = open_case.component) THEN
        RAISE EXCEPTION 'it has no component %', quote_literal(component) USING ERRCODE = 'SV400';
    END IF;
    made := servitize.new_case(equipment, component, title, 'person', NULL, about, who);
    IF made IS NULL THEN
        RAISE EXCEPTION 'a case of this component is open already' USING ERRCODE = 'SV409', HINT = 'add a note to that one';
    END IF;
    RETURN made;
END $$;

CREATE FUNCTION servitize.work_case(on_case bigint, happened text, who text, facts jsonb, OUT from_state text, OUT to_state text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mine int;
BEGIN
    SELECT c.equipment_id INTO mine FROM servitize.diagnosis_case c WHERE c.id = on_case;
    IF mine IS NULL OR NOT servitize.may(mine, 'read') THEN
        RAISE EXCEPTION 'there is no such case' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(mine, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    IF happened NOT IN ('conclude', 'sign', 'disagree', 'close', 'reopen', 'note', 'find') THEN
        RAISE EXCEPTION '% is nothing a person does to a case', happened USING ERRCODE = 'SV400';
    END IF;
    SELECT s.from_state, s.to_state INTO from_state, to_state FROM servitize.step_case(on_case, happened, who, facts) s;
END $$;

-- The last entry of a case's journal, the case held until the transaction ends.
CREATE FUNCTION servitize.hold_case(on_case bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mine int;
BEGIN
    SELECT c.equipment_id INTO mine FROM servitize.diagnosis_case c WHERE c.id = on_case FOR UPDATE;
    IF mine IS NULL OR NOT servitize.may(mine, 'read') THEN
        RAISE EXCEPTION 'there is no such case' USING ERRCODE = 'SV404';
    END IF;
    RETURN (SELECT max(j.id) FROM servitize.case_entry j WHERE j.case_id = on_case);
END $$;

-- Cases without a diagnosis, each for one worker at a time; a few attempts each, since what fails thrice fails for a reason.
CREATE FUNCTION servitize.claim_case() RETURNS TABLE (case_id bigint, tenant_id int, equipment_id int, component text, about timestamptz)
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE servitize.diagnosis_case c SET attempts = c.attempts + 1
      FROM servitize.equipment e
     WHERE e.id = c.equipment_id AND c.id = (
           SELECT x.id FROM servitize.diagnosis_case x WHERE x.diagnosed_at IS NULL AND x.attempts < 3 AND x.state <> 'closed'
            ORDER BY x.attempts, x.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING c.id, e.tenant_id, c.equipment_id, c.component, c.about
$$;

-- What the machine thinks, with what it rests on: from here on that is kept as long as the case.
CREATE FUNCTION servitize.file_diagnosis(on_case bigint, facts jsonb, waveforms bigint[], parts text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    mine int;
BEGIN
    SELECT c.equipment_id INTO mine FROM servitize.diagnosis_case c WHERE c.id = on_case;
    IF mine IS NULL OR NOT servitize.may(mine, 'read') THEN
        RAISE EXCEPTION 'there is no such case' USING ERRCODE = 'SV404';
    END IF;
    INSERT INTO servitize.case_waveform (case_id, waveform_id, equipment_id, part)
    SELECT on_case, w.id, mine, g.part
      FROM unnest(waveforms, parts) AS g (id, part) JOIN servitize.waveform w ON w.id = g.id AND w.equipment_id = mine
    ON CONFLICT DO NOTHING;
    UPDATE servitize.waveform w SET retention = 'evidence'
     WHERE w.equipment_id = mine AND w.id = ANY (waveforms) AND w.retention <> 'evidence';
    PERFORM servitize.step_case(on_case, 'diagnose', 'diagnosis', facts);
END $$;

CREATE FUNCTION servitize.request_capture(equipment int, wanted text[], seconds float8, reason text, on_case bigint, who text)
    RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bigint;
BEGIN
    IF NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such equipment' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    IF on_case IS NOT NULL AND NOT EXISTS (
        SELECT FROM servitize.diagnosis_case c WHERE c.id = on_case AND c.equipment_id = equipment) THEN
        RAISE EXCEPTION 'there is no such case of this equipment' USING ERRCODE = 'SV400';
    END IF;
    INSERT INTO servitize.capture_request AS r (equipment_id, channels, seconds, reason, case_id, requested_by)
    VALUES (equipment, wanted, seconds, reason, on_case, who) RETURNING r.id INTO made;
    PERFORM pg_notify('servitize_capture', made::text);
    RETURN made;
END $$;

REVOKE EXECUTE ON FUNCTION servitize.has_waveforms, servitize.step_case, servitize.new_case, servitize.case_of_alarm, servitize.open_case,
    servitize.work_case, servitize.claim_case, servitize.file_diagnosis, servitize.request_capture, servitize.hold_case FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.open_case, servitize.work_case, servitize.hold_case, servitize.claim_case, servitize.file_diagnosis,
    servitize.request_capture TO servitize_api;
