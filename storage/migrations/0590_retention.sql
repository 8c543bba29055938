-- How long what is kept. Nothing of a measurement goes unless somebody decided it: without a row here it is kept for good.

-- Finer kinds first: raw <= minute <= hour <= day, since a coarser rollup must outlive what it was made of.
CREATE FUNCTION servitize.retention_kinds() RETURNS TABLE (kind text, finer text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('raw', NULL), ('minute', 'raw'), ('hour', 'minute'), ('day', 'hour'), ('event', NULL), ('state', NULL),
           ('health', NULL), ('transition', NULL), ('alarm_journal', NULL), ('dead_letter', NULL), ('audit', NULL)
$$;

CREATE TABLE servitize.retention_policy (
    tenant_id  int REFERENCES servitize.tenant,
    kind       text NOT NULL CHECK (kind IN ('raw', 'minute', 'hour', 'day', 'event', 'state', 'health', 'transition', 'alarm_journal',
                                             'dead_letter', 'audit')),
    keep       interval CHECK (keep >= interval '1 day'),
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (tenant_id, kind)
);
COMMENT ON COLUMN servitize.retention_policy.tenant_id IS 'Whose; NULL: of every tenant that has no row of its own for the kind.';
COMMENT ON COLUMN servitize.retention_policy.keep IS 'NULL: for good.';
INSERT INTO servitize.retention_policy (tenant_id, kind, keep) VALUES (NULL, 'dead_letter', interval '90 days');

-- Whoever still needs what lies behind a moment (an open contract period, a dispute) says so here; no policy passes it.
CREATE TABLE servitize.retention_hold (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   int NOT NULL REFERENCES servitize.tenant,
    since       timestamptz NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz
);

-- How far has been deleted. Behind its raw horizon a tenant's rollups are what is left, so they are made of raw no more.
CREATE TABLE servitize.retention_horizon (
    tenant_id int NOT NULL REFERENCES servitize.tenant,
    kind      text NOT NULL,
    before    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, kind)
);

DO $$
DECLARE
    name text;
BEGIN
    -- engine: made with the ledger, which was before or after 0007 gave every table its policy
    FOREACH name IN ARRAY ARRAY['engine', 'retention_policy', 'retention_hold', 'retention_horizon']
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS platform ON servitize.%I', name);
        EXECUTE format('ALTER TABLE servitize.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY platform ON servitize.%I TO servitize_owner, servitize_writer USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT ON servitize.%I TO servitize_writer', name);
    END LOOP;
END $$;

-- A value that a mean or an extreme may rest on: not of class bad, a finite number (and not so large that a sum of many would overflow and
-- stop the job for every other point).
CREATE FUNCTION servitize.usable(value float8, quality smallint) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN quality >= 64 AND abs(value) < 1e300;
