-- Plain PostgreSQL, second part (readings themselves: 0003): rollups by a dirty log.
--
-- Writers note which hours of which points they touched, in the transaction of the readings. A job reads what was noted, makes those hours
-- (and their days) anew from raw, and deletes only what it has read. An hour that is noted is read raw, so readers are exact at all
-- times, however far behind the job is.

-- Counts the rounds of the job. A writer need not note an hour twice within one generation; the job takes only notes of generations
-- that are over. rollup_generation() holds a shared lock to the end of the writer's transaction and next_rollup_generation() takes it
-- alone: so when a generation is over, everything written in it is committed and seen.
CREATE TABLE servitize.rollup_generation (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation bigint NOT NULL
) WITH (fillfactor = 50);
INSERT INTO servitize.rollup_generation (generation) VALUES (1);

CREATE TABLE servitize.rollup_dirty (
    generation bigint NOT NULL,
    point_id   int NOT NULL,
    hour       timestamptz NOT NULL,
    logged_at  timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX rollup_dirty_point ON servitize.rollup_dirty (point_id, hour);

-- What was there before rollups were.
INSERT INTO servitize.rollup_dirty (generation, point_id, hour)
SELECT DISTINCT 0, r.point_id, date_trunc('hour', r.ts, 'UTC') FROM servitize.reading r;

-- count: readings; good: of class good; usable: those that min, max, sum, first and last rest on (NULL where there are none).
CREATE TABLE servitize.rollup_hour (
    point_id int NOT NULL,
    bucket   timestamptz NOT NULL,
    count    bigint NOT NULL,
    good     bigint NOT NULL,
    usable   bigint NOT NULL,
    min      float8,
    max      float8,
    sum      float8,
    first    float8,
    last     float8,
    first_at timestamptz,
    last_at  timestamptz,
    min_at   timestamptz,
    max_at   timestamptz,
    dense    boolean NOT NULL,
    PRIMARY KEY (point_id, bucket)
) PARTITION BY RANGE (bucket);
COMMENT ON COLUMN servitize.rollup_hour.dense IS
    'Its minutes are in rollup_minute. Elsewhere raw is no larger than its minutes would be, and they are made of it when asked for.';

CREATE TABLE servitize.rollup_minute (LIKE servitize.rollup_hour, PRIMARY KEY (point_id, bucket)) PARTITION BY RANGE (bucket);
ALTER TABLE servitize.rollup_minute DROP COLUMN dense;
CREATE TABLE servitize.rollup_day (LIKE servitize.rollup_hour, PRIMARY KEY (point_id, bucket));
ALTER TABLE servitize.rollup_day DROP COLUMN dense;
CREATE TABLE servitize.rollup_minute_default PARTITION OF servitize.rollup_minute DEFAULT;
CREATE TABLE servitize.rollup_hour_default PARTITION OF servitize.rollup_hour DEFAULT;

-- Partitions of a table with their bounds, upper exclusive.
CREATE FUNCTION servitize.partitions_of(parent text) RETURNS TABLE (name text, lower timestamptz, upper timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.name, b.bound[1]::timestamptz, b.bound[2]::timestamptz
      FROM (SELECT c.relname::text AS name,
                   regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) AS bound
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = ('servitize.' || quote_ident(parent))::regclass) b
     WHERE b.bound IS NOT NULL
     ORDER BY 2
$$;

-- The partition of a rollup that takes a moment: a month of minutes, a year of hours. Only the job writes there, one at a time.
CREATE FUNCTION servitize.ensure_rollup_partition(parent text, width text, moment timestamptz) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    part_low timestamptz := date_trunc(width, moment);
    name     text := parent || '_' || to_char(part_low, 'YYYYMMDD');
BEGIN
    IF to_regclass('servitize.' || quote_ident(name)) IS NULL THEN
        EXECUTE format('CREATE TABLE servitize.%I (LIKE servitize.%I)', name, parent);
        EXECUTE format('ALTER TABLE servitize.%I ATTACH PARTITION servitize.%I FOR VALUES FROM (%L) TO (%L)',
                       parent, name, part_low, part_low + ('1 ' || width)::interval);
    END IF;
END $$;

CREATE FUNCTION servitize.rollup_generation() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('servitize.rollup_generation'));
    -- a statement of its own: what it sees is from after the lock was given
    RETURN (SELECT g.generation FROM servitize.rollup_generation g);
END $$;

-- To be committed at once: writers wait meanwhile. Gives up after two seconds (55P03) rather than hold them all up behind a slow one.
CREATE FUNCTION servitize.next_rollup_generation() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
BEGIN
    IF EXISTS (SELECT FROM servitize.rollup_dirty d, servitize.rollup_generation g WHERE d.generation = g.generation) THEN
        PERFORM pg_advisory_xact_lock(hashtext('servitize.rollup_generation'));
        UPDATE servitize.rollup_generation SET generation = generation + 1;
    END IF;
END $$;

-- Hours of points made anew from raw, with their minutes where there are many readings (more than two a minute) or where seal says so.
CREATE FUNCTION servitize.make_hours(points int[], hours timestamptz[], seal boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    -- one point's hour at a time is a few pages by the key; a scan of partitions never is the better plan
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET jit = off
AS $$
DECLARE
    moment timestamptz;
BEGIN
    FOR moment IN SELECT DISTINCT date_trunc('month', h) FROM unnest(hours) h LOOP
        PERFORM servitize.ensure_rollup_partition('rollup_minute', 'month', moment);
        PERFORM servitize.ensure_rollup_partition('rollup_hour', 'year', moment);
    END LOOP;
    WITH asked AS (
        SELECT a.point_id, a.hour FROM unnest(points, hours) AS a (point_id, hour)),
    raw AS MATERIALIZED (
        SELECT a.point_id, a.hour, date_bin('1 minute', r.ts, a.hour) AS minute, r.ts, r.value, r.quality,
               servitize.usable(r.value, r.quality) AS usable
          FROM asked a
         CROSS JOIN LATERAL (
               SELECT x.ts, x.value, x.quality FROM servitize.reading x
                WHERE x.point_id = a.point_id AND x.ts >= a.hour AND x.ts < a.hour + interval '1 hour') r),
    edge AS MATERIALIZED (
        SELECT raw.point_id, raw.hour, raw.minute, count(*) AS count, count(*) FILTER (WHERE raw.quality >= 192) AS good,
               count(*) FILTER (WHERE raw.usable) AS usable, min(raw.value) FILTER (WHERE raw.usable) AS min,
               max(raw.value) FILTER (WHERE raw.usable) AS max, sum(raw.value) FILTER (WHERE raw.usable) AS sum,
               min(raw.ts) FILTER (WHERE raw.usable) AS first_at, max(raw.ts) FILTER (WHERE raw.usable) AS last_at
          FROM raw GROUP BY raw.point_id, raw.hour, raw.minute),
    found AS (
        SELECT e.point_id, e.minute, max(raw.value) FILTER (WHERE raw.ts = e.first_at) AS first,
               max(raw.value) FILTER (WHERE raw.ts = e.last_at) AS last, min(raw.ts) FILTER (WHERE raw.value = e.min) AS min_at,
               min(raw.ts) FILTER (WHERE raw.value = e.max) AS max_at
          FROM edge e JOIN raw ON raw.point_id = e.point_id AND raw.minute = e.minute
         WHERE raw.usable GROUP BY e.point_id, e.minute),
    minutes AS MATERIALIZED (
        SELECT e.*, f.first, f.last, f.min_at, f.max_at FROM edge e LEFT JOIN found f USING (point_id, minute)),
    wide AS MATERIALIZED (
        SELECT m.point_id, m.hour, sum(m.count)::bigint AS count, sum(m.good)::bigint AS good, sum(m.usable)::bigint AS usable,
               min(m.min) AS min, max(m.max) AS max, sum(m.sum) AS sum, min(m.first_at) AS first_at, max(m.last_at) AS last_at
          FROM minutes m GROUP BY m.point_id, m.hour),
    hourly AS MATERIALIZED (
        SELECT w.*, g.first, g.last, g.min_at, g.max_at,
               seal OR w.count > 120 OR coalesce((SELECT k.dense FROM servitize.rollup_hour k
                                                   WHERE k.point_id = w.point_id AND k.bucket = w.hour), false) AS dense
          FROM wide w
          LEFT JOIN (SELECT x.point_id, x.hour, max(m.first) FILTER (WHERE m.first_at = x.first_at) AS first,
                            max(m.last) FILTER (WHERE m.last_at = x.last_at) AS last,
                            min(m.min_at) FILTER (WHERE m.min = x.min) AS min_at, min(m.max_at) FILTER (WHERE m.max = x.max) AS max_at
                       FROM wide x JOIN minutes m USING (point_id, hour) GROUP BY x.point_id, x.hour) g USING (point_id, hour)),
    stored_minutes AS (
        INSERT INTO servitize.rollup_minute AS o
               (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at)
        SELECT m.point_id, m.minute, m.count, m.good, m.usable, m.min, m.max, m.sum, m.first, m.last, m.first_at, m.last_at, m.min_at, m.max_at
          FROM minutes m JOIN hourly h USING (point_id, hour) WHERE h.dense
         ORDER BY m.point_id, m.minute
        ON CONFLICT (point_id, bucket) DO UPDATE
           SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at) =
               (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
                excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at)
         WHERE (o.count, o.good, o.usable, o.min, o.max, o.sum, o.first, o.last, o.first_at, o.last_at, o.min_at, o.max_at)
               IS DISTINCT FROM (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first,
                                 excluded.last, excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at))
    INSERT INTO servitize.rollup_hour
           (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at, dense)
    SELECT h.point_id, h.hour, h.count, h.good, h.usable, h.min, h.max, h.sum, h.first, h.last, h.first_at, h.last_at, h.min_at, h.max_at, h.dense
      FROM hourly h ORDER BY h.point_id, h.hour
    ON CONFLICT (point_id, bucket) DO UPDATE
       SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at, dense) =
           (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
            excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at, excluded.dense);
END $$;

-- Days of points made anew from their hours.
CREATE FUNCTION servitize.make_days(points int[], days timestamptz[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
    WITH asked AS (
        SELECT a.point_id, a.day FROM unnest(points, days) AS a (point_id, day)),
    hours AS MATERIALIZED (
        SELECT a.day, h.* FROM asked a
         CROSS JOIN LATERAL (
               SELECT x.* FROM servitize.rollup_hour x
                WHERE x.point_id = a.point_id AND x.bucket >= a.day AND x.bucket < a.day + interval '1 day') h),
    wide AS MATERIALIZED (
        SELECT h.point_id, h.day, sum(h.count)::bigint AS count, sum(h.good)::bigint AS good, sum(h.usable)::bigint AS usable, min(h.min) AS min,
               max(h.max) AS max, sum(h.sum) AS sum, min(h.first_at) AS first_at, max(h.last_at) AS last_at
          FROM hours h GROUP BY h.point_id, h.day),
    found AS (
        SELECT w.point_id, w.day, max(h.first) FILTER (WHERE h.first_at = w.first_at) AS first,
               max(h.last) FILTER (WHERE h.last_at = w.last_at) AS last,
               min(h.min_at) FILTER (WHERE h.min = w.min) AS min_at, min(h.max_at) FILTER (WHERE h.max = w.max) AS max_at
          FROM wide w JOIN hours h USING (point_id, day) GROUP BY w.point_id, w.day)
    INSERT INTO servitize.rollup_day
           (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at)
    SELECT w.point_id, w.day, w.count, w.good, w.usable, w.min, w.max, w.sum, f.first, f.last, w.first_at, w.last_at, f.min_at, f.max_at
      FROM wide w LEFT JOIN found f USING (point_id, day)
     ORDER BY w.point_id, w.day
    ON CONFLICT (point_id, bucket) DO UPDATE
       SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at) =
           (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
            excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at)
$$;

-- Works off at most so many hours of points, in one transaction; how many there were (0: nothing is due). An hour is due when its point
-- has moved on to a later one (it is then made once, with its rows side by side), or when it has waited for an hour; with everything
-- also hours still being written.
CREATE FUNCTION servitize.roll_up(at_most int, everything boolean DEFAULT false) RETURNS int
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    points  int[];
    hours   timestamptz[];
    present bigint;
    due     int;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('servitize.roll_up')) THEN
        RETURN 0;
    END IF;
    SELECT g.generation INTO present FROM servitize.rollup_generation g;
    SELECT array_agg(n.point_id), array_agg(n.hour), count(*) INTO points, hours, due
      FROM (SELECT d.point_id, d.hour
              FROM servitize.rollup_dirty d LEFT JOIN servitize.latest_reading l ON l.point_id = d.point_id
             WHERE d.generation < present
               AND (everything OR d.hour < date_trunc('hour', l.ts) OR d.logged_at < now() - interval '1 hour')
             GROUP BY d.point_id, d.hour ORDER BY d.point_id, d.hour LIMIT at_most) n;
    IF due = 0 THEN
        RETURN 0;
    END IF;
    DELETE FROM servitize.rollup_dirty d USING unnest(points, hours) AS n (point_id, hour)
     WHERE d.point_id = n.point_id AND d.hour = n.hour AND d.generation < present;
    -- behind the raw horizon there is nothing left to make them of
    SELECT array_agg(n.point_id), array_agg(n.hour) INTO points, hours
      FROM unnest(points, hours) AS n (point_id, hour)
      LEFT JOIN servitize.point p ON p.id = n.point_id
      LEFT JOIN servitize.equipment e ON e.id = p.equipment_id
      LEFT JOIN servitize.retention_horizon z ON z.tenant_id = e.tenant_id AND z.kind = 'raw'
     WHERE n.hour >= coalesce(z.before, '-infinity');
    IF points IS NOT NULL THEN
        PERFORM servitize.make_hours(points, hours, false);
        PERFORM servitize.make_days(array_agg(t.point_id), array_agg(t.day))
           FROM (SELECT DISTINCT n.point_id, date_trunc('day', n.hour) AS day FROM unnest(points, hours) AS n (point_id, hour)) t;
    END IF;
    RETURN due;
END $$;

-- Hours of a point that its rollups do not tell yet.
CREATE FUNCTION servitize.unrolled_hours(point int, time_from timestamptz, time_to timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(DISTINCT d.hour), '{}') FROM servitize.rollup_dirty d
     WHERE d.point_id = point AND d.hour > time_from - interval '1 hour' AND d.hour < time_to
$$;

-- Stretches of whole hours in [time_from, time_to), both on the hour, whose minutes are not in rollup_minute.
CREATE FUNCTION servitize.hours_without_minutes(point int, time_from timestamptz, time_to timestamptz) RETURNS timestamptz[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(h.bucket ORDER BY h.bucket), '{}') FROM servitize.rollup_hour h
     WHERE h.point_id = point AND h.bucket >= time_from AND h.bucket < time_to AND NOT h.dense
$$;

-- Figures of the job, for monitoring: hours waiting, and since when.
CREATE FUNCTION servitize.rollup_backlog(OUT hours bigint, OUT since timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*), min(d.logged_at) FROM servitize.rollup_dirty d
$$;

-- What retention needs to know of the engine: the pieces a kind is stored in, how to drop one, and the moment up to which rollups are made.
CREATE FUNCTION servitize.pieces_of(kind text) RETURNS TABLE (name text, lower timestamptz, upper timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.name, p.lower, p.upper
      FROM servitize.partitions_of(CASE kind WHEN 'raw' THEN 'reading' WHEN 'minute' THEN 'rollup_minute' WHEN 'hour' THEN 'rollup_hour' END) p
     WHERE kind IN ('raw', 'minute', 'hour')
    UNION ALL
    SELECT CASE kind WHEN 'raw' THEN 'reading_default' ELSE 'rollup_day' END, '-infinity', 'infinity' WHERE kind IN ('raw', 'day')
$$;

CREATE FUNCTION servitize.drop_piece(kind text, piece text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '5s'
AS $$
BEGIN
    EXECUTE format('DROP TABLE servitize.%I', piece);
END $$;

CREATE FUNCTION servitize.count_in_piece(kind text, piece text, tenant int, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FROM servitize.%I r WHERE r.%I < $2 AND ($1 IS NULL OR r.point_id IN ('
        'SELECT p.id FROM servitize.point p JOIN servitize.equipment e ON e.id = p.equipment_id WHERE e.tenant_id = $1))',
        piece, CASE kind WHEN 'raw' THEN 'ts' ELSE 'bucket' END) INTO found USING tenant, before;
    RETURN found;
END $$;

CREATE FUNCTION servitize.delete_from_piece(kind text, piece text, tenant int, before timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    gone bigint;
BEGIN
    EXECUTE format(
        'DELETE FROM servitize.%I r USING servitize.point p, servitize.equipment e'
        ' WHERE r.point_id = p.id AND p.equipment_id = e.id AND e.tenant_id = $1 AND r.%I < $2',
        piece, CASE kind WHEN 'raw' THEN 'ts' ELSE 'bucket' END) USING tenant, before;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;

-- Before raw of a tenant goes from a piece: minutes that are only in raw are written down, where they are to be kept for longer.
CREATE FUNCTION servitize.seal_minutes(tenant int, time_from timestamptz, time_to timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part   record;
    sealed bigint := 0;
BEGIN
    FOR part IN
        SELECT array_agg(h.point_id) AS points, array_agg(h.bucket) AS hours, count(*) AS n
          FROM servitize.point p
          JOIN servitize.equipment e ON e.id = p.equipment_id AND e.tenant_id = tenant
          JOIN servitize.rollup_hour h ON h.point_id = p.id AND h.bucket >= time_from AND h.bucket < time_to AND NOT h.dense
         GROUP BY h.point_id
    LOOP
        PERFORM servitize.make_hours(part.points, part.hours, true);
        sealed := sealed + part.n;
    END LOOP;
    RETURN sealed;
END $$;

-- Behind this moment something of the tenant waits to be rolled up: raw must stay.
CREATE FUNCTION servitize.rolled_up_to(tenant int) RETURNS timestamptz
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(min(d.hour), 'infinity')
      FROM servitize.rollup_dirty d JOIN servitize.point p ON p.id = d.point_id JOIN servitize.equipment e ON e.id = p.equipment_id
     WHERE e.tenant_id = tenant
$$;

GRANT SELECT, INSERT ON servitize.rollup_dirty TO servitize_writer;
GRANT SELECT ON servitize.rollup_minute, servitize.rollup_hour, servitize.rollup_day, servitize.rollup_generation TO servitize_writer;
GRANT EXECUTE ON FUNCTION servitize.rollup_generation, servitize.next_rollup_generation, servitize.roll_up, servitize.rollup_backlog
    TO servitize_writer;
