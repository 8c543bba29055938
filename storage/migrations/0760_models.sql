-- Learned models: each version with what it learned from, how well it does and its file; which of them speaks; and who decided that.

CREATE TABLE servitize.model (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_./-]{0,127}$'),
    version      int NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('remaining-life', 'normal-behaviour')),
    type_key     text NOT NULL REFERENCES servitize.equipment_type,
    status       text NOT NULL DEFAULT 'candidate' CHECK (status IN ('candidate', 'challenger', 'champion', 'retired')),
    window_from  timestamptz NOT NULL,
    window_to    timestamptz NOT NULL CHECK (window_to >= window_from),
    machines     int NOT NULL CHECK (machines > 0),
    features     jsonb NOT NULL,
    code_version text NOT NULL,
    metrics      jsonb NOT NULL,
    calibration  jsonb NOT NULL,
    file         bytea NOT NULL,
    sha256       bytea NOT NULL CHECK (sha256 = sha256(file)),
    signature    bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    created_by   text NOT NULL,
    UNIQUE (name, version)
);
COMMENT ON TABLE servitize.model IS 'A fitted model. The champion of a name speaks; its challenger is scored beside it and speaks to nobody.';
COMMENT ON COLUMN servitize.model.file IS 'Without pickle (skops); loaded only where the signature is this installation''s.';
ALTER TABLE servitize.model ALTER COLUMN file SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX model_speaks ON servitize.model (name, status) WHERE status IN ('champion', 'challenger');

CREATE TABLE servitize.model_step (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id    int NOT NULL REFERENCES servitize.model,
    at          timestamptz NOT NULL DEFAULT now(),
    actor       text NOT NULL,
    from_status text,
    to_status   text NOT NULL,
    reason      text NOT NULL DEFAULT ''
);
COMMENT ON TABLE servitize.model_step IS 'Every change of a model''s status: who, when, why. Append-only.';
CREATE INDEX model_step_model ON servitize.model_step (model_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON servitize.model_step
    FOR EACH STATEMENT EXECUTE FUNCTION servitize.refuse_change();

-- What was learned does not change afterwards; only the status moves.
CREATE FUNCTION servitize.keep_model() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF to_jsonb(OLD) - 'status' IS DISTINCT FROM to_jsonb(NEW) - 'status' THEN
        RAISE EXCEPTION 'a model does not change: train another version' USING ERRCODE = 'SV403';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep BEFORE UPDATE ON servitize.model FOR EACH ROW EXECUTE FUNCTION servitize.keep_model();

-- Next version's number of a name; two at once wait for each other.
CREATE FUNCTION servitize.add_model(
    name text, kind text, type_key text, window_from timestamptz, window_to timestamptz, machines int, features jsonb, code_version text,
    metrics jsonb, calibration jsonb, file bytea, signature bytea, actor text
) RETURNS int
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    number int;
    made int;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('servitize.model/' || add_model.name, 0));
    SELECT coalesce(max(m.version), 0) + 1 INTO number FROM servitize.model m WHERE m.name = add_model.name;
    INSERT INTO servitize.model AS m (name, version, kind, type_key, window_from, window_to, machines, features, code_version, metrics,
                                      calibration, file, sha256, signature, created_by)
    VALUES (add_model.name, number, add_model.kind, add_model.type_key, add_model.window_from, add_model.window_to, add_model.machines,
            add_model.features, add_model.code_version, add_model.metrics, add_model.calibration, add_model.file,
            sha256(add_model.file), add_model.signature, add_model.actor)
    RETURNING m.id INTO made;
    INSERT INTO servitize.model_step (model_id, actor, to_status, reason) VALUES (made, add_model.actor, 'candidate', 'trained');
    RETURN number;
END $$;

-- candidate → challenger → champion; whoever had the place is retired, in the same transaction. Back: the champion before this one.
CREATE FUNCTION servitize.set_model_status(name text, version int, status text, actor text, reason text) RETURNS text
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    chosen record;
    other record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('servitize.model/' || set_model_status.name, 0));
    SELECT m.id, m.status INTO chosen FROM servitize.model m
     WHERE m.name = set_model_status.name AND m.version = set_model_status.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no version % of the model %', set_model_status.version, set_model_status.name
            USING ERRCODE = 'SV404', HINT = 'see what there is: servitize models';
    END IF;
    IF chosen.status = set_model_status.status THEN
        RETURN chosen.status;
    END IF;
    IF set_model_status.status = 'candidate' THEN
        RAISE EXCEPTION 'a model does not become a candidate again' USING ERRCODE = 'SV409', HINT = 'promote it, or train another';
    END IF;
    FOR other IN SELECT m.id, m.status FROM servitize.model m
                  WHERE m.name = set_model_status.name AND m.status = set_model_status.status
                    AND m.status IN ('champion', 'challenger')
    LOOP
        UPDATE servitize.model m SET status = 'retired' WHERE m.id = other.id;
        INSERT INTO servitize.model_step (model_id, actor, from_status, to_status, reason)
        VALUES (other.id, set_model_status.actor, other.status, 'retired',
                format('version %s took its place', set_model_status.version));
    END LOOP;
    UPDATE servitize.model m SET status = set_model_status.status WHERE m.id = chosen.id;
    INSERT INTO servitize.model_step (model_id, actor, from_status, to_status, reason)
    VALUES (chosen.id, set_model_status.actor, chosen.status, set_model_status.status, set_model_status.reason);
    RETURN chosen.status;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['model', 'model_step']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
END $$;
