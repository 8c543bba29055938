-- Rollups made in one pass over what was read. Joining what was read with its own extremes went wrong by orders of magnitude where statistics
-- were old (a table of intermediate rows has none), and every hour was looked up for itself.

-- A moment as a float8, exact both ways from 1900 to 2076 (a test goes through it), so that pairs of moment and value can be compared as arrays:
-- the least pair (moment, value) is the first reading, the least (value, moment) the earliest of the smallest.
CREATE FUNCTION servitize.as_seconds(moment timestamptz) RETURNS float8
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN date_part('epoch', moment);

-- Stretches [low, high) of adjoining hours, per point.
CREATE FUNCTION servitize.stretches(points int[], hours timestamptz[]) RETURNS TABLE (point_id int, low timestamptz, high timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.point_id, min(r.hour), max(r.hour) + interval '1 hour'
      FROM (SELECT a.point_id, a.hour, a.hour - row_number() OVER (PARTITION BY a.point_id ORDER BY a.hour) * interval '1 hour' AS run
              FROM (SELECT DISTINCT u.point_id, u.hour FROM unnest(points, hours) AS u (point_id, hour)) a) r
     GROUP BY r.point_id, r.run ORDER BY 1, 2
$$;

-- A point's readings by its key. A function, so that no plan can turn the question round and walk through whole partitions.
CREATE FUNCTION servitize.raw_of(point int, low timestamptz, high timestamptz) RETURNS TABLE (ts timestamptz, value float8, quality smallint)
    LANGUAGE plpgsql STABLE ROWS 5000
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN QUERY SELECT r.ts, r.value, r.quality FROM servitize.reading r WHERE r.point_id = point AND r.ts >= low AND r.ts < high;
END $$;

-- Hours of points made anew from raw, with their minutes where there are many readings (more than two a minute), or where seal says so. (An
-- hour never has fewer readings than before while its raw is there: once it has minutes, it has them again.)
CREATE OR REPLACE FUNCTION servitize.make_hours(points int[], hours timestamptz[], seal boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET jit = off
AS $$
DECLARE
    moment timestamptz;
BEGIN
    FOR moment IN SELECT DISTINCT date_trunc('month', h) FROM unnest(hours) h LOOP
        PERFORM servitize.ensure_rollup_partition('rollup_minute', 'month', moment);
        PERFORM servitize.ensure_rollup_partition('rollup_hour', 'year', moment);
    END LOOP;
    WITH raw AS (
        SELECT s.point_id, date_bin('1 hour', r.ts, s.low) AS hour, r.ts, r.value, r.quality, servitize.usable(r.value, r.quality) AS usable,
               servitize.as_seconds(r.ts) AS at,
               seal OR count(*) OVER (PARTITION BY s.point_id, date_bin('1 hour', r.ts, s.low)) > 120 AS dense
          FROM servitize.stretches(points, hours) s CROSS JOIN LATERAL servitize.raw_of(s.point_id, s.low, s.high) r),
    fine AS MATERIALIZED (
        SELECT raw.point_id, raw.hour, raw.dense, CASE WHEN raw.dense THEN date_bin('1 minute', raw.ts, raw.hour) ELSE raw.hour END AS bucket,
               count(*) AS count, count(*) FILTER (WHERE raw.quality >= 192) AS good, count(*) FILTER (WHERE raw.usable) AS usable,
               sum(raw.value) FILTER (WHERE raw.usable) AS sum,
               min(ARRAY[raw.value, raw.at]) FILTER (WHERE raw.usable) AS low, max(ARRAY[raw.value, -raw.at]) FILTER (WHERE raw.usable) AS high,
               min(ARRAY[raw.at, raw.value]) FILTER (WHERE raw.usable) AS head, max(ARRAY[raw.at, raw.value]) FILTER (WHERE raw.usable) AS tail
          FROM raw GROUP BY 1, 2, 3, 4),
    stored_minutes AS (
        INSERT INTO servitize.rollup_minute AS o
               (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at)
        SELECT f.point_id, f.bucket, f.count, f.good, f.usable, f.low[1], f.high[1], f.sum, f.head[2], f.tail[2], to_timestamp(f.head[1]),
               to_timestamp(f.tail[1]), to_timestamp(f.low[2]), to_timestamp(-f.high[2])
          FROM fine f WHERE f.dense ORDER BY f.point_id, f.bucket
        ON CONFLICT (point_id, bucket) DO UPDATE
           SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at) =
               (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
                excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at)
         WHERE (o.count, o.good, o.usable, o.min, o.max, o.sum, o.first, o.last, o.first_at, o.last_at, o.min_at, o.max_at)
               IS DISTINCT FROM (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first,
                                 excluded.last, excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at))
    INSERT INTO servitize.rollup_hour AS o
           (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at, dense)
    SELECT h.point_id, h.hour, h.count, h.good, h.usable, h.low[1], h.high[1], h.sum, h.head[2], h.tail[2], to_timestamp(h.head[1]),
           to_timestamp(h.tail[1]), to_timestamp(h.low[2]), to_timestamp(-h.high[2]), h.dense
      FROM (SELECT f.point_id, f.hour, f.dense, sum(f.count)::bigint AS count, sum(f.good)::bigint AS good, sum(f.usable)::bigint AS usable,
                   sum(f.sum) AS sum, min(f.low) AS low, max(f.high) AS high, min(f.head) AS head, max(f.tail) AS tail
              FROM fine f GROUP BY 1, 2, 3) h
     ORDER BY h.point_id, h.hour
    ON CONFLICT (point_id, bucket) DO UPDATE
       SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at, dense) =
           (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
            excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at, o.dense OR excluded.dense);
END $$;

-- Days of points made anew from their hours.
CREATE OR REPLACE FUNCTION servitize.make_days(points int[], days timestamptz[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET enable_seqscan = off
    SET enable_bitmapscan = off
    SET jit = off
AS $$
DECLARE
    part record;
BEGIN
    -- a point at a time: its days mostly adjoin, and their hours are then one stretch of the key
    FOR part IN SELECT u.point_id, min(u.day) AS low, max(u.day) + interval '1 day' AS high, array_agg(u.day) AS days
                  FROM unnest(points, days) AS u (point_id, day) GROUP BY u.point_id ORDER BY u.point_id
    LOOP
        INSERT INTO servitize.rollup_day
               (point_id, bucket, count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at)
        SELECT part.point_id, d.day, d.count, d.good, d.usable, d.low[1], d.high[1], d.sum, d.head[2], d.tail[2], to_timestamp(d.head[1]),
               to_timestamp(d.tail[1]), to_timestamp(d.low[2]), to_timestamp(-d.high[2])
          FROM (SELECT date_trunc('day', h.bucket) AS day, sum(h.count)::bigint AS count, sum(h.good)::bigint AS good,
                       sum(h.usable)::bigint AS usable, sum(h.sum) AS sum,
                       min(ARRAY[h.min, servitize.as_seconds(h.min_at)]) FILTER (WHERE h.usable > 0) AS low,
                       max(ARRAY[h.max, -servitize.as_seconds(h.max_at)]) FILTER (WHERE h.usable > 0) AS high,
                       min(ARRAY[servitize.as_seconds(h.first_at), h.first]) FILTER (WHERE h.usable > 0) AS head,
                       max(ARRAY[servitize.as_seconds(h.last_at), h.last]) FILTER (WHERE h.usable > 0) AS tail
                  FROM servitize.rollup_hour h
                 WHERE h.point_id = part.point_id AND h.bucket >= part.low AND h.bucket < part.high
                   AND date_trunc('day', h.bucket) = ANY (part.days)
                 GROUP BY 1) d
         ORDER BY d.day
        ON CONFLICT (point_id, bucket) DO UPDATE
           SET (count, good, usable, min, max, sum, first, last, first_at, last_at, min_at, max_at) =
               (excluded.count, excluded.good, excluded.usable, excluded.min, excluded.max, excluded.sum, excluded.first, excluded.last,
                excluded.first_at, excluded.last_at, excluded.min_at, excluded.max_at);
    END LOOP;
END $$;

CREATE INDEX rollup_dirty_day ON servitize.rollup_dirty (date_bin('1 day', hour, '2000-01-01 00:00:00+00'), point_id, hour);

-- Works off at most so many hours of points, in one transaction; how many there were (0: nothing is due). An hour is due when its point
-- has moved on to a later one (it is then made once, with its rows side by side), or when it has waited for an hour; with everything
-- also hours still being written. Day by day, so that what a large backlog reads and writes lies side by side, and a point's hours of a day together.
CREATE OR REPLACE FUNCTION servitize.roll_up(at_most int, everything boolean DEFAULT false) RETURNS int
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
             GROUP BY date_bin('1 day', d.hour, '2000-01-01 00:00:00+00'), d.point_id, d.hour
             ORDER BY date_bin('1 day', d.hour, '2000-01-01 00:00:00+00'), d.point_id, d.hour LIMIT at_most) n;
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
