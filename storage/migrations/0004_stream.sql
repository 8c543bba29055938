-- What one commit of a stream stores beside readings: its position, journal and snapshot, events, states, health, refusals, counts.

CREATE TABLE servitize.stream_position (
    stream       text PRIMARY KEY,
    epoch        bigint NOT NULL DEFAULT 0,
    next_offset  bigint NOT NULL DEFAULT 0,
    latest_clean boolean NOT NULL DEFAULT true,
    acquired_at  timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
COMMENT ON COLUMN servitize.stream_position.epoch IS 'The right to write: each acquisition adds one, a commit names the one it holds.';
COMMENT ON COLUMN servitize.stream_position.latest_clean IS 'False while a writer holds latest values it has not flushed.';

CREATE TABLE servitize.stream_journal (
    stream   text NOT NULL REFERENCES servitize.stream_position,
    "offset" bigint NOT NULL,
    record   bytea NOT NULL,
    PRIMARY KEY (stream, "offset")
) WITH (autovacuum_vacuum_scale_factor = 0.05);
-- records come compressed; a second try would cost processor time and gain nothing
ALTER TABLE servitize.stream_journal ALTER COLUMN record SET STORAGE EXTERNAL;

CREATE TABLE servitize.stream_snapshot (
    stream   text PRIMARY KEY REFERENCES servitize.stream_position,
    "offset" bigint NOT NULL,
    state    bytea NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE servitize.stream_snapshot ALTER COLUMN state SET STORAGE EXTERNAL;

CREATE TABLE servitize.conservation (
    stream text NOT NULL,
    name   text NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (stream, name)
) WITH (fillfactor = 50);

CREATE TABLE servitize.event (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    kind         text NOT NULL,
    ts           timestamptz NOT NULL,
    hash         bytea NOT NULL,
    body         jsonb NOT NULL,
    received_at  timestamptz NOT NULL,
    PRIMARY KEY (equipment_id, kind, ts, hash)
);
CREATE INDEX event_equipment_ts ON servitize.event (equipment_id, ts);

CREATE TABLE servitize.dead_letter (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash              bytea NOT NULL UNIQUE,
    tenant_id         int REFERENCES servitize.tenant,
    equipment_id      int REFERENCES servitize.equipment,
    topic             text NOT NULL,
    payload           bytea NOT NULL,
    payload_bytes     int NOT NULL,
    reason            text NOT NULL,
    detail            text NOT NULL,
    first_received_at timestamptz NOT NULL,
    last_received_at  timestamptz NOT NULL,
    count             bigint NOT NULL DEFAULT 1,
    readings          bigint NOT NULL DEFAULT 1,
    replayed_at       timestamptz
);
COMMENT ON COLUMN servitize.dead_letter.payload_bytes IS 'Length as received; a longer one than payload was cut and cannot be replayed.';
CREATE INDEX dead_letter_tenant ON servitize.dead_letter (tenant_id, last_received_at);

CREATE TABLE servitize.state_change (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    at           timestamptz NOT NULL,
    state        text NOT NULL,
    PRIMARY KEY (equipment_id, at)
);

CREATE TABLE servitize.health (
    equipment_id  int NOT NULL REFERENCES servitize.equipment,
    component     text NOT NULL,
    at            timestamptz NOT NULL,
    index         float8 NOT NULL,
    reasons       jsonb NOT NULL DEFAULT '[]',
    history_at    timestamptz NOT NULL,
    history_index float8 NOT NULL,
    PRIMARY KEY (equipment_id, component)
) WITH (fillfactor = 50);
COMMENT ON COLUMN servitize.health.component IS 'Component key; empty: the whole equipment, rolled up by criticality.';

CREATE TABLE servitize.health_history (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    component    text NOT NULL,
    at           timestamptz NOT NULL,
    index        float8 NOT NULL,
    reasons      jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (equipment_id, component, at)
);

-- Latest health, and history where it says something new: a point of the index, or ten minutes (event time). In the given order, so
-- that history does not depend on how the stream was cut.
CREATE FUNCTION servitize.record_health(assessments jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    a     record;
    known servitize.health;
BEGIN
    FOR a IN SELECT (x->>'equipment_id')::int AS equipment_id, x->>'component' AS component,
                    servitize.from_us((x->>'at')::bigint) AS at, (x->>'index')::float8 AS index, x->'reasons' AS reasons
               FROM jsonb_array_elements(assessments) WITH ORDINALITY AS e (x, n) ORDER BY e.n
    LOOP
        SELECT * INTO known FROM servitize.health h
         WHERE h.equipment_id = a.equipment_id AND h.component = a.component FOR UPDATE;
        IF known.equipment_id IS NULL THEN
            INSERT INTO servitize.health VALUES (a.equipment_id, a.component, a.at, a.index, a.reasons, a.at, a.index)
            ON CONFLICT DO NOTHING;
        ELSIF a.at < known.at THEN
            CONTINUE;
        ELSIF abs(a.index - known.history_index) < 1 AND a.at < known.history_at + interval '10 minutes' THEN
            UPDATE servitize.health h SET at = a.at, index = a.index, reasons = a.reasons
             WHERE h.equipment_id = a.equipment_id AND h.component = a.component;
            CONTINUE;
        ELSE
            UPDATE servitize.health h
               SET at = a.at, index = a.index, reasons = a.reasons, history_at = a.at, history_index = a.index
             WHERE h.equipment_id = a.equipment_id AND h.component = a.component;
        END IF;
        INSERT INTO servitize.health_history VALUES (a.equipment_id, a.component, a.at, a.index, a.reasons)
        ON CONFLICT (equipment_id, component, at) DO UPDATE SET index = excluded.index, reasons = excluded.reasons;
    END LOOP;
END $$;
