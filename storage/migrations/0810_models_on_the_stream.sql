-- What learned models say of the stream: remaining life, distance from normal, drift of what they look at; and what turned out to be true.

-- Remaining life as it was told, champion and challenger side by side. A figure that equals the horizon reads "at least".
CREATE TABLE servitize.prognosis (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    model        text NOT NULL,
    component    text NOT NULL DEFAULT '',
    version      int NOT NULL,
    at           timestamptz NOT NULL,
    champion     boolean NOT NULL,
    p10          float8 NOT NULL,
    p50          float8 NOT NULL,
    p90          float8 NOT NULL,
    unit         text NOT NULL,
    horizon      float8,
    date_p10     timestamptz,
    date_p50     timestamptz,
    date_p90     timestamptz,
    PRIMARY KEY (equipment_id, model, component, at, version)
);
COMMENT ON TABLE servitize.prognosis IS 'Remaining life in the machine''s own clock and as dates, each time a step of that clock was over.';
COMMENT ON COLUMN servitize.prognosis.champion IS 'False: a challenger said it, to nobody.';

-- The champions' last word: one row per component and model.
CREATE TABLE servitize.remaining_life (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    component    text NOT NULL DEFAULT '',
    model        text NOT NULL,
    version      int NOT NULL,
    at           timestamptz NOT NULL,
    p10          float8 NOT NULL,
    p50          float8 NOT NULL,
    p90          float8 NOT NULL,
    unit         text NOT NULL,
    horizon      float8,
    date_p10     timestamptz,
    date_p50     timestamptz,
    date_p90     timestamptz,
    PRIMARY KEY (equipment_id, component, model)
);
COMMENT ON TABLE servitize.remaining_life IS 'The newest of servitize.prognosis that a champion told.';

-- How far from normal, in a model's eyes; 1 is the edge. A challenger's alarms stand here and nowhere else.
CREATE TABLE servitize.model_score (
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    model         text NOT NULL,
    component     text NOT NULL DEFAULT '',
    version       int NOT NULL,
    at            timestamptz NOT NULL,
    champion      boolean NOT NULL,
    score         float8,
    change        text CHECK (change IN ('raised', 'cleared')),
    concern       text NOT NULL CHECK (concern IN ('machine', 'instrument')),
    text          text NOT NULL DEFAULT '',
    contributions jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (equipment_id, model, at, version, component)
);
COMMENT ON TABLE servitize.model_score IS 'Distance from learned normal behaviour now and then, and whenever the model''s alarm came or went.';

-- What a machine sends against what a model learned from, window by window.
CREATE TABLE servitize.model_drift (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    model        text NOT NULL,
    version      int NOT NULL,
    at           timestamptz NOT NULL,
    since        timestamptz NOT NULL,
    champion     boolean NOT NULL,
    index        float8 NOT NULL,
    drifted      boolean NOT NULL,
    points       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (equipment_id, model, version, at)
);
COMMENT ON TABLE servitize.model_drift IS 'Population stability index of the point that moved most. A note about the model, never an alarm of the machine.';
CREATE INDEX model_drift_drifted ON servitize.model_drift (at) WHERE drifted;

-- What turned out to be true: labels that models learn from and are judged by.
CREATE TABLE servitize.confirmed_outcome (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    component    text NOT NULL DEFAULT '',
    failure_mode text NOT NULL DEFAULT '',
    at           timestamptz NOT NULL,
    verdict      text NOT NULL CHECK (verdict IN ('failure', 'defect', 'healthy')),
    found        text NOT NULL DEFAULT '',
    source       text NOT NULL CHECK (source IN ('person', 'case', 'work-order', 'inspection')),
    reference    text NOT NULL DEFAULT '',
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    recorded_by  text NOT NULL,
    withdrawn_at timestamptz,
    withdrawn_by text,
    UNIQUE (equipment_id, component, failure_mode, at, source, reference)
);
COMMENT ON TABLE servitize.confirmed_outcome IS 'Somebody looked: it failed, it had a defect, or it was healthy; when, where, what was found.';
COMMENT ON COLUMN servitize.confirmed_outcome.at IS 'When it failed, or was found so.';
CREATE INDEX confirmed_outcome_equipment ON servitize.confirmed_outcome (equipment_id, at);

-- By whoever may work with the equipment; the same label again is the same row.
CREATE FUNCTION servitize.record_outcome(
    equipment int, on_component text, mode text, happened_at timestamptz, what text, words text, whence text, ref text, who text,
    OUT id bigint, OUT fresh boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such equipment' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    SELECT r.id, r.fresh INTO id, fresh
      FROM servitize.store_outcome(equipment, on_component, mode, happened_at, what, words, whence, ref, who) r;
END $$;

-- As record_outcome, for the platform's own doors (command line, cases, work orders), which have asked already.
CREATE FUNCTION servitize.store_outcome(
    equipment int, on_component text, mode text, happened_at timestamptz, what text, words text, whence text, ref text, who text,
    OUT id bigint, OUT fresh boolean)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF on_component <> '' AND NOT EXISTS (SELECT FROM servitize.component c
                                           WHERE c.equipment_id = equipment AND c.key = on_component) THEN
        RAISE EXCEPTION 'the equipment has no component %', quote_literal(on_component) USING ERRCODE = 'SV400';
    END IF;
    IF happened_at > clock_timestamp() + interval '1 minute' THEN
        RAISE EXCEPTION 'what turned out to be true has happened already' USING ERRCODE = 'SV400', HINT = 'a time in the past';
    END IF;
    INSERT INTO servitize.confirmed_outcome AS o
        (equipment_id, component, failure_mode, at, verdict, found, source, reference, recorded_by)
    VALUES (equipment, on_component, mode, happened_at, what, words, whence, ref, who)
    ON CONFLICT (equipment_id, component, failure_mode, at, source, reference) DO UPDATE
       SET verdict = excluded.verdict, found = excluded.found, recorded_at = now(), recorded_by = excluded.recorded_by,
           withdrawn_at = NULL, withdrawn_by = NULL
     WHERE (o.verdict, o.found) IS DISTINCT FROM (excluded.verdict, excluded.found) OR o.withdrawn_at IS NOT NULL
    RETURNING o.id INTO id;
    fresh := id IS NOT NULL;
    IF NOT fresh THEN
        SELECT o.id INTO id FROM servitize.confirmed_outcome o
         WHERE (o.equipment_id, o.component, o.failure_mode, o.at, o.source, o.reference)
             = (equipment, on_component, mode, happened_at, whence, ref);
    END IF;
END $$;

-- A label that was wrong: it stays on record and counts no more.
CREATE FUNCTION servitize.withdraw_outcome(outcome bigint, who text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    equipment int;
BEGIN
    SELECT o.equipment_id INTO equipment FROM servitize.confirmed_outcome o WHERE o.id = outcome;
    IF NOT FOUND OR NOT servitize.may(equipment, 'read') THEN
        RAISE EXCEPTION 'there is no such outcome' USING ERRCODE = 'SV404';
    END IF;
    IF NOT servitize.may(equipment, 'operate') THEN
        RAISE EXCEPTION 'the grant on this equipment is for reading only' USING ERRCODE = 'SV403';
    END IF;
    UPDATE servitize.confirmed_outcome o SET withdrawn_at = now(), withdrawn_by = who WHERE o.id = outcome AND o.withdrawn_at IS NULL;
END $$;
REVOKE ALL ON FUNCTION servitize.record_outcome, servitize.store_outcome, servitize.withdraw_outcome FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.record_outcome, servitize.withdraw_outcome TO servitize_api;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['prognosis', 'remaining_life', 'model_score', 'model_drift', 'confirmed_outcome']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_api, servitize_board, servitize_writer', name);
    END LOOP;
END $$;
GRANT INSERT ON servitize.prognosis, servitize.model_score, servitize.model_drift TO servitize_writer;
GRANT INSERT, UPDATE ON servitize.remaining_life TO servitize_writer;

-- Who speaks is part of the registry: processors take it up as they take up a new machine.
CREATE TRIGGER registry AFTER UPDATE ON servitize.model FOR EACH STATEMENT EXECUTE FUNCTION servitize.bump_registry();
