-- TimescaleDB: readings as a hypertable, rollups as continuous aggregates, both as columnstore once they are old. Runs right after the
-- plain tables of 0003 were made and are empty still; views and functions keep their names, columns and rights.

SET LOCAL search_path = public, pg_temp; -- where the extension's functions are

ALTER TABLE servitize.reading RENAME TO reading_plain;
CREATE TABLE servitize.reading (
    point_id    int NOT NULL,
    ts          timestamptz NOT NULL,
    value       float8 NOT NULL,
    quality     smallint NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT reading_key PRIMARY KEY (point_id, ts)
);
SELECT create_hypertable('servitize.reading', by_range('ts', interval '7 days'), create_default_indexes => false);
GRANT SELECT, INSERT, UPDATE ON servitize.reading TO servitize_writer;

CREATE OR REPLACE VIEW servitize.reading_visible WITH (security_barrier) AS
SELECT r.point_id, r.ts, r.value, r.quality, r.received_at
  FROM servitize.reading r
 WHERE r.point_id IN (SELECT p.id FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id);

-- Chunks make themselves: nothing can be astray.
CREATE OR REPLACE VIEW servitize.partition_alarm AS
SELECT 0::bigint AS stray_readings, NULL::timestamptz AS oldest, NULL::timestamptz AS newest WHERE false;
DROP TABLE servitize.reading_plain;

-- Compressed behind the lateness of ordinary days: writing into compressed chunks is right, and twenty times slower.
ALTER TABLE servitize.reading SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'point_id', timescaledb.orderby = 'ts');
CALL add_columnstore_policy('servitize.reading', after => interval '8 days');

CREATE MATERIALIZED VIEW servitize.rollup_minute WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT point_id, time_bucket(interval '1 minute', ts) AS bucket, count(*) AS count, count(*) FILTER (WHERE quality >= 192) AS good,
       count(*) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS usable,
       min(value) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS min,
       max(value) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS max,
       sum(value) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS sum,
       first(value, ts) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS first,
       last(value, ts) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS last,
       min(ts) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS first_at,
       max(ts) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS last_at,
       first(ts, value) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS min_at,
       last(ts, value) FILTER (WHERE quality >= 64 AND abs(value) < 1e300) AS max_at
  FROM servitize.reading
 GROUP BY point_id, time_bucket(interval '1 minute', ts)
WITH NO DATA;

CREATE MATERIALIZED VIEW servitize.rollup_hour WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT m.point_id, time_bucket(interval '1 hour', m.bucket) AS bucket, sum(m.count)::bigint AS count, sum(m.good)::bigint AS good,
       sum(m.usable)::bigint AS usable, min(m.min) AS min, max(m.max) AS max, sum(m.sum) AS sum,
       first(m.first, m.first_at) FILTER (WHERE m.usable > 0) AS first, last(m.last, m.last_at) FILTER (WHERE m.usable > 0) AS last,
       min(m.first_at) AS first_at, max(m.last_at) AS last_at,
       first(m.min_at, m.min) FILTER (WHERE m.usable > 0) AS min_at, last(m.max_at, m.max) FILTER (WHERE m.usable > 0) AS max_at
  FROM servitize.rollup_minute m
 GROUP BY m.point_id, time_bucket(interval '1 hour', m.bucket)
WITH NO DATA;

CREATE MATERIALIZED VIEW servitize.rollup_day WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT h.point_id, time_bucket(interval '1 day', h.bucket) AS bucket, sum(h.count)::bigint AS count, sum(h.good)::bigint AS good,
       sum(h.usable)::bigint AS usable, min(h.min) AS min, max(h.max) AS max, sum(h.sum) AS sum,
       first(h.first, h.first_at) FILTER (WHERE h.usable > 0) AS first, last(h.last, h.last_at) FILTER (WHERE h.usable > 0) AS last,
       min(h.first_at) AS first_at, max(h.last_at) AS last_at,
       first(h.min_at, h.min) FILTER (WHERE h.usable > 0) AS min_at, last(h.max_at, h.max) FILTER (WHERE h.usable > 0) AS max_at
  FROM servitize.rollup_hour h
 GROUP BY h.point_id, time_bucket(interval '1 day', h.bucket)
WITH NO DATA;

ALTER MATERIALIZED VIEW servitize.rollup_minute SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = 'point_id');
ALTER MATERIALIZED VIEW servitize.rollup_hour SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = 'point_id');
GRANT SELECT ON servitize.rollup_minute, servitize.rollup_hour, servitize.rollup_day TO servitize_writer;

-- Where chunks and rollups of a kind are: hypertable and column of time.
CREATE FUNCTION servitize.hypertable_of(kind text, OUT relation text, OUT schema_name name, OUT table_name name, OUT id int)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT k.relation, h.schema_name, h.table_name, h.id
      FROM (VALUES ('raw', 'reading'), ('minute', 'rollup_minute'), ('hour', 'rollup_hour'), ('day', 'rollup_day')) AS k (kind, relation)
      LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.user_view_schema = 'servitize' AND a.user_view_name = k.relation
      JOIN _timescaledb_catalog.hypertable h
        ON CASE WHEN a.mat_hypertable_id IS NULL THEN h.schema_name = 'servitize' AND h.table_name = k.relation ELSE h.id = a.mat_hypertable_id END
     WHERE k.kind = hypertable_of.kind
$$;

-- Rollups made right from where raw begins (behind that they are all that is left) to what is no longer being written, finer ones first; only
-- what changed since the last time is worked on. Then chunks of rollups that are old become columnstore. A job every five minutes; a
-- platform without background workers calls it. A job of our own, since the engine's refresh policy knows of no raw horizon and would empty
-- rollups whose raw is gone, and its columnstore policy wants that policy.
CREATE PROCEDURE servitize.refresh_rollups(job_id int DEFAULT NULL, config jsonb DEFAULT NULL)
    LANGUAGE plpgsql
AS $$
DECLARE
    behind timestamptz;
    old    regclass;
BEGIN
    SELECT max(z.before) INTO behind FROM servitize.retention_horizon z WHERE z.kind = 'raw';
    CALL public.refresh_continuous_aggregate('servitize.rollup_minute', behind, date_trunc('minute', now() - interval '10 minutes'));
    -- what a level's refresh changed is noted when it commits, and only then found by the level above
    COMMIT;
    CALL public.refresh_continuous_aggregate('servitize.rollup_hour', behind, date_trunc('hour', now() - interval '1 hour'));
    COMMIT;
    CALL public.refresh_continuous_aggregate('servitize.rollup_day', behind, date_trunc('day', now() - interval '1 day', 'UTC'));
    COMMIT;
    FOR old IN SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass
                 FROM unnest(ARRAY['minute', 'hour'], ARRAY[interval '40 days', interval '400 days']) AS k (kind, after)
                CROSS JOIN LATERAL servitize.hypertable_of(k.kind) h
                 JOIN timescaledb_information.chunks c ON c.hypertable_schema = h.schema_name AND c.hypertable_name = h.table_name
                WHERE c.range_end < now() - k.after AND NOT c.is_compressed
    LOOP
        CALL public.convert_to_columnstore(old, if_not_columnstore => true);
    END LOOP;
END $$;
SELECT add_job('servitize.refresh_rollups', interval '5 minutes');

-- The interface of 0600 (plain says what each means). Nothing is noted by writers: the engine keeps its own log.
CREATE FUNCTION servitize.rollup_generation() RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT NULL::bigint $$;
CREATE FUNCTION servitize.next_rollup_generation() RETURNS void
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT $$;
CREATE FUNCTION servitize.roll_up(at_most int, everything boolean DEFAULT false) RETURNS int
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT 0 $$;
CREATE FUNCTION servitize.unrolled_hours(point int, time_from timestamptz, time_to timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT '{}'::timestamptz[] $$;
CREATE FUNCTION servitize.hours_without_minutes(point int, time_from timestamptz, time_to timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT '{}'::timestamptz[] $$;
CREATE FUNCTION servitize.seal_minutes(tenant int, time_from timestamptz, time_to timestamptz) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ SELECT 0::bigint $$;

-- The oldest moment at which a rollup waits for the job; what lies behind the raw horizon waits for nothing any more.
CREATE FUNCTION servitize.rolled_up_to(tenant int) RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH horizon AS (
        -- the least timestamp there is: the log keeps a note of what lies before it
        SELECT coalesce(_timescaledb_functions.to_unix_microseconds(max(z.before)), -210866803200000000) AS us
          FROM servitize.retention_horizon z WHERE z.kind = 'raw'),
    waiting AS (
        SELECT l.lowest_modified_value AS us
          FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log l, horizon
         WHERE l.hypertable_id IN (SELECT h.id FROM unnest(ARRAY['raw', 'minute', 'hour']) k, LATERAL servitize.hypertable_of(k) h)
           AND l.greatest_modified_value >= horizon.us
        UNION ALL
        SELECT l.lowest_modified_value
          FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log l, horizon
         WHERE l.materialization_id IN (SELECT h.id FROM unnest(ARRAY['minute', 'hour', 'day']) k, LATERAL servitize.hypertable_of(k) h)
           AND l.greatest_modified_value >= horizon.us)
    SELECT coalesce(min(CASE WHEN w.us <= -210866803200000000 THEN '-infinity'::timestamptz
                             ELSE _timescaledb_functions.to_timestamp(w.us) END), 'infinity')
      FROM waiting w
$$;

CREATE FUNCTION servitize.rollup_backlog(OUT hours bigint, OUT since timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*), NULL::timestamptz FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
$$;

CREATE FUNCTION servitize.pieces_of(kind text) RETURNS TABLE (name text, lower timestamptz, upper timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name), c.range_start, c.range_end
      FROM servitize.hypertable_of(kind) h
      JOIN timescaledb_information.chunks c ON c.hypertable_schema = h.schema_name AND c.hypertable_name = h.table_name
     ORDER BY 2
$$;

CREATE FUNCTION servitize.drop_piece(kind text, piece text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '5s'
AS $$
BEGIN
    PERFORM public.drop_chunks(('servitize.' || (servitize.hypertable_of(kind)).relation)::regclass, older_than => p.upper, newer_than => p.lower)
       FROM servitize.pieces_of(kind) p WHERE p.name = piece;
END $$;

CREATE FUNCTION servitize.count_in_piece(kind text, piece text, tenant int, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FROM %s r WHERE r.%I < $2 AND ($1 IS NULL OR r.point_id IN ('
        'SELECT p.id FROM servitize.point p JOIN servitize.equipment e ON e.id = p.equipment_id WHERE e.tenant_id = $1))',
        piece::regclass, CASE kind WHEN 'raw' THEN 'ts' ELSE 'bucket' END) INTO found USING tenant, before;
    RETURN found;
END $$;

CREATE FUNCTION servitize.delete_from_piece(kind text, piece text, tenant int, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part record;
    h    record;
    gone bigint;
BEGIN
    SELECT * INTO part FROM servitize.pieces_of(kind) p WHERE p.name = piece;
    SELECT * INTO h FROM servitize.hypertable_of(kind);
    EXECUTE format(
        'DELETE FROM %I.%I r WHERE r.point_id = ANY ($1) AND r.%I >= $2 AND r.%I < $3',
        h.schema_name, h.table_name, CASE kind WHEN 'raw' THEN 'ts' ELSE 'bucket' END, CASE kind WHEN 'raw' THEN 'ts' ELSE 'bucket' END)
      USING ARRAY(SELECT p.id FROM servitize.point p JOIN servitize.equipment e ON e.id = p.equipment_id WHERE e.tenant_id = tenant),
            part.lower, least(part.upper, before);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Readers ask these two for chunks and for room; the first also stands in for what plain calls partitions.
CREATE OR REPLACE FUNCTION servitize.reading_partitions()
    RETURNS TABLE (name text, lower timestamptz, upper timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.name, p.lower, p.upper FROM servitize.pieces_of('raw') p ORDER BY 2
$$;

CREATE OR REPLACE FUNCTION servitize.ensure_partitions(first timestamptz, last timestamptz, OUT covered_from timestamptz, OUT covered_to timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF first IS NULL OR last IS NULL OR last < first OR NOT isfinite(first) OR NOT isfinite(last)
       OR first < '1900-01-01' OR last > now() + interval '50 years' THEN
        RAISE EXCEPTION 'no partitions from % to %', first, last USING ERRCODE = 'invalid_parameter_value',
            HINT = 'times lie between 1900 and 50 years ahead, the first not after the last';
    END IF;
    covered_from := '1900-01-01';
    covered_to := now() + interval '50 years';
END $$;

GRANT EXECUTE ON FUNCTION servitize.rollup_generation, servitize.next_rollup_generation, servitize.roll_up, servitize.rollup_backlog
    TO servitize_writer;
