-- Parcels: waveforms with their samples, cycles with their numbers. What they become as readings stands with the readings.

CREATE TABLE servitize.waveform (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    ts           timestamptz NOT NULL,
    hash         bytea NOT NULL,
    rate         float8 NOT NULL CHECK (rate > 0),
    samples      int NOT NULL CHECK (samples > 0),
    channels     jsonb NOT NULL,
    speed        float8,
    load         float8,
    rotation     text NOT NULL DEFAULT '',
    purpose      text NOT NULL CHECK (purpose IN ('routine', 'transient', 'on_demand', 'reference')),
    retention    text NOT NULL CHECK (retention IN ('short', 'routine', 'reference', 'evidence')),
    request      text NOT NULL DEFAULT '',
    meta         jsonb NOT NULL DEFAULT '{}',
    encoding     text NOT NULL CHECK (encoding IN ('i16', 'f32')),
    tacho        bytea,
    data         bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    UNIQUE (equipment_id, ts, hash)
);
COMMENT ON COLUMN servitize.waveform.ts IS 'Of the first sample.';
COMMENT ON COLUMN servitize.waveform.samples IS 'Per channel.';
COMMENT ON COLUMN servitize.waveform.channels IS 'In the order of the samples: name, unit, orientation, gap; scale and offset of i16.';
COMMENT ON COLUMN servitize.waveform.data IS 'zstd of the samples, channel after channel, bytes of equal weight together (storage/waveforms.py).';
ALTER TABLE servitize.waveform ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX waveform_retention ON servitize.waveform (retention, ts);
CREATE INDEX waveform_request ON servitize.waveform (request) WHERE request <> '';

CREATE TABLE servitize.cycle (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    kind         text NOT NULL,
    component    text NOT NULL,
    ts           timestamptz NOT NULL,
    hash         bytea NOT NULL,
    ended_at     timestamptz NOT NULL CHECK (ended_at >= ts),
    values       jsonb NOT NULL,
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (equipment_id, kind, component, ts, hash)
);
COMMENT ON COLUMN servitize.cycle.component IS 'Key of the component whose cycle it was.';
CREATE INDEX cycle_equipment_ts ON servitize.cycle (equipment_id, ts);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['waveform', 'cycle']
    LOOP
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('CREATE POLICY mine ON servitize.%I FOR SELECT TO servitize_api, servitize_board'
                       ' USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m))', name);
        EXECUTE format('GRANT SELECT, INSERT ON servitize.%I TO servitize_writer', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_api, servitize_board', name);
    END LOOP;
END $$;

-- How long samples are kept is decided like everything else of retention; evidence goes with its case and has no kind here.
CREATE OR REPLACE FUNCTION servitize.retention_kinds() RETURNS TABLE (kind text, finer text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('raw', NULL), ('minute', 'raw'), ('hour', 'minute'), ('day', 'hour'), ('event', NULL), ('state', NULL),
           ('health', NULL), ('transition', NULL), ('alarm_journal', NULL), ('dead_letter', NULL), ('audit', NULL), ('cycle', NULL),
           ('waveform_short', NULL), ('waveform_routine', NULL), ('waveform_reference', NULL)
$$;
ALTER TABLE servitize.retention_policy DROP CONSTRAINT retention_policy_kind_check;
ALTER TABLE servitize.retention_policy ADD CONSTRAINT retention_policy_kind_check
    CHECK (kind IN ('raw', 'minute', 'hour', 'day', 'event', 'state', 'health', 'transition', 'alarm_journal', 'dead_letter', 'audit',
                    'cycle', 'waveform_short', 'waveform_routine', 'waveform_reference'));
INSERT INTO servitize.retention_policy (tenant_id, kind, keep)
VALUES (NULL, 'waveform_short', interval '7 days'), (NULL, 'waveform_routine', interval '180 days');

-- As before, and parcels.
ALTER FUNCTION servitize.expire_rows(int, text, boolean) RENAME TO expire_rows_but_parcels;
CREATE FUNCTION servitize.expire_rows(tenant int, of_kind text, dry boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due  timestamptz;
    gone bigint;
    mine int[] := ARRAY(SELECT e.id FROM servitize.equipment e WHERE e.tenant_id = tenant);
BEGIN
    IF of_kind <> 'cycle' AND of_kind NOT LIKE 'waveform\_%' THEN
        RETURN servitize.expire_rows_but_parcels(tenant, of_kind, dry);
    END IF;
    SELECT r.before INTO due FROM servitize.retention_rows() r WHERE r.tenant_id IS NOT DISTINCT FROM tenant AND r.kind = of_kind;
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    IF of_kind = 'cycle' AND dry THEN
        RETURN (SELECT count(*) FROM servitize.cycle x WHERE x.equipment_id = ANY (mine) AND x.ts < due);
    ELSIF dry THEN
        RETURN (SELECT count(*) FROM servitize.waveform x
                 WHERE x.equipment_id = ANY (mine) AND x.ts < due AND 'waveform_' || x.retention = of_kind);
    ELSIF of_kind = 'cycle' THEN
        DELETE FROM servitize.cycle x WHERE x.equipment_id = ANY (mine) AND x.ts < due;
    ELSE
        DELETE FROM servitize.waveform x WHERE x.equipment_id = ANY (mine) AND x.ts < due AND 'waveform_' || x.retention = of_kind;
    END IF;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM servitize.count_expired(of_kind, tenant, of_kind, gone);
    RETURN gone;
END $$;
REVOKE EXECUTE ON FUNCTION servitize.expire_rows_but_parcels(int, text, boolean) FROM servitize_writer;
REVOKE EXECUTE ON FUNCTION servitize.expire_rows(int, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.expire_rows(int, text, boolean) TO servitize_writer;
