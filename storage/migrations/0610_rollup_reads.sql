-- Reading rollups, the same on every engine. It asks the engine (0600) for two things: unrolled_hours, and hours_without_minutes.

-- Full hours (days) inside a stretch: the first at or behind, the last at or before.
CREATE FUNCTION servitize.at_or_behind(unit text, moment timestamptz) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN date_trunc(unit, moment, 'UTC') = moment THEN moment
                ELSE date_trunc(unit, moment, 'UTC') + CASE unit WHEN 'day' THEN interval '24 hours' ELSE interval '1 hour' END END;

-- Stretches [low, high) of moments that lie a width apart.
CREATE FUNCTION servitize.runs(moments timestamptz[], width interval) RETURNS TABLE (low timestamptz, high timestamptz)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(r.moment), max(r.moment) + width
      FROM (SELECT m.moment, m.moment - row_number() OVER (ORDER BY m.moment) * width AS run
              FROM (SELECT DISTINCT u AS moment FROM unnest(moments) u) m) r
     GROUP BY r.run ORDER BY 1
$$;

-- cover_*: a point's readings in [time_from, time_to) as rows of buckets no wider than the name says, every reading in exactly one row:
-- rollups where whole buckets lie inside and are up to date, finer ones and raw elsewhere. For definer functions; no right is given.
CREATE FUNCTION servitize.cover_raw(point int, time_from timestamptz, time_to timestamptz)
    RETURNS TABLE (bucket timestamptz, count bigint, good bigint, usable bigint, min float8, max float8, sum float8, first float8, last float8,
                   first_at timestamptz, last_at timestamptz, min_at timestamptz, max_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH raw AS MATERIALIZED (
        SELECT date_trunc('minute', r.ts, 'UTC') AS bucket, r.ts, r.value, r.quality, servitize.usable(r.value, r.quality) AS usable
          FROM servitize.reading r WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to),
    edge AS MATERIALIZED (
        SELECT raw.bucket, count(*) AS count, count(*) FILTER (WHERE raw.quality >= 192) AS good, count(*) FILTER (WHERE raw.usable) AS usable,
               min(raw.value) FILTER (WHERE raw.usable) AS min, max(raw.value) FILTER (WHERE raw.usable) AS max,
               sum(raw.value) FILTER (WHERE raw.usable) AS sum,
               min(raw.ts) FILTER (WHERE raw.usable) AS first_at, max(raw.ts) FILTER (WHERE raw.usable) AS last_at
          FROM raw GROUP BY raw.bucket),
    found AS (
        SELECT edge.bucket, max(raw.value) FILTER (WHERE raw.ts = edge.first_at) AS first,
               max(raw.value) FILTER (WHERE raw.ts = edge.last_at) AS last,
               min(raw.ts) FILTER (WHERE raw.value = edge.min) AS min_at, min(raw.ts) FILTER (WHERE raw.value = edge.max) AS max_at
          FROM edge JOIN raw USING (bucket) WHERE raw.usable GROUP BY edge.bucket)
    SELECT e.bucket, e.count, e.good, e.usable, e.min, e.max, e.sum, f.first, f.last, e.first_at, e.last_at, f.min_at, f.max_at
      FROM edge e LEFT JOIN found f USING (bucket)
$$;

CREATE FUNCTION servitize.cover_minutes(point int, time_from timestamptz, time_to timestamptz, unrolled timestamptz[])
    RETURNS TABLE (bucket timestamptz, count bigint, good bigint, usable bigint, min float8, max float8, sum float8, first float8, last float8,
                   first_at timestamptz, last_at timestamptz, min_at timestamptz, max_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole_from timestamptz := servitize.at_or_behind('hour', time_from);
    whole_to   timestamptz := date_trunc('hour', time_to, 'UTC');
    raw        timestamptz[];
    stretch    record;
BEGIN
    IF whole_from >= whole_to THEN
        RETURN QUERY SELECT * FROM servitize.cover_raw(point, time_from, time_to);
        RETURN;
    END IF;
    raw := unrolled || servitize.hours_without_minutes(point, whole_from, whole_to);
    RETURN QUERY
        SELECT m.bucket, m.count, m.good, m.usable, m.min, m.max, m.sum, m.first, m.last, m.first_at, m.last_at, m.min_at, m.max_at
          FROM servitize.rollup_minute m
         WHERE m.point_id = point AND m.bucket >= whole_from AND m.bucket < whole_to AND date_trunc('hour', m.bucket, 'UTC') <> ALL (raw);
    FOR stretch IN SELECT greatest(r.low, whole_from) AS low, least(r.high, whole_to) AS high
                     FROM servitize.runs(raw, interval '1 hour') r WHERE r.low < whole_to AND r.high > whole_from
                   UNION ALL SELECT time_from, whole_from WHERE time_from < whole_from
                   UNION ALL SELECT whole_to, time_to WHERE whole_to < time_to
    LOOP
        RETURN QUERY SELECT * FROM servitize.cover_raw(point, stretch.low, stretch.high);
    END LOOP;
END $$;

CREATE FUNCTION servitize.cover_hours(point int, time_from timestamptz, time_to timestamptz, unrolled timestamptz[])
    RETURNS TABLE (bucket timestamptz, count bigint, good bigint, usable bigint, min float8, max float8, sum float8, first float8, last float8,
                   first_at timestamptz, last_at timestamptz, min_at timestamptz, max_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole_from timestamptz := servitize.at_or_behind('hour', time_from);
    whole_to   timestamptz := date_trunc('hour', time_to, 'UTC');
    stretch    record;
BEGIN
    IF whole_from >= whole_to THEN
        RETURN QUERY SELECT * FROM servitize.cover_minutes(point, time_from, time_to, unrolled);
        RETURN;
    END IF;
    RETURN QUERY
        SELECT h.bucket, h.count, h.good, h.usable, h.min, h.max, h.sum, h.first, h.last, h.first_at, h.last_at, h.min_at, h.max_at
          FROM servitize.rollup_hour h
         WHERE h.point_id = point AND h.bucket >= whole_from AND h.bucket < whole_to AND h.bucket <> ALL (unrolled);
    FOR stretch IN SELECT r.low, r.high FROM servitize.runs(unrolled, interval '1 hour') r WHERE r.low < whole_to AND r.high > whole_from LOOP
        RETURN QUERY SELECT * FROM servitize.cover_raw(point, greatest(stretch.low, whole_from), least(stretch.high, whole_to));
    END LOOP;
    IF time_from < whole_from THEN
        RETURN QUERY SELECT * FROM servitize.cover_minutes(point, time_from, whole_from, unrolled);
    END IF;
    IF whole_to < time_to THEN
        RETURN QUERY SELECT * FROM servitize.cover_minutes(point, whole_to, time_to, unrolled);
    END IF;
END $$;

CREATE FUNCTION servitize.cover_days(point int, time_from timestamptz, time_to timestamptz, unrolled timestamptz[])
    RETURNS TABLE (bucket timestamptz, count bigint, good bigint, usable bigint, min float8, max float8, sum float8, first float8, last float8,
                   first_at timestamptz, last_at timestamptz, min_at timestamptz, max_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    whole_from timestamptz := servitize.at_or_behind('day', time_from);
    whole_to   timestamptz := date_trunc('day', time_to, 'UTC');
    days       timestamptz[] := ARRAY(SELECT DISTINCT date_trunc('day', u, 'UTC') FROM unnest(unrolled) u);
    stretch    record;
BEGIN
    IF whole_from >= whole_to THEN
        RETURN QUERY SELECT * FROM servitize.cover_hours(point, time_from, time_to, unrolled);
        RETURN;
    END IF;
    RETURN QUERY
        SELECT d.bucket, d.count, d.good, d.usable, d.min, d.max, d.sum, d.first, d.last, d.first_at, d.last_at, d.min_at, d.max_at
          FROM servitize.rollup_day d
         WHERE d.point_id = point AND d.bucket >= whole_from AND d.bucket < whole_to AND d.bucket <> ALL (days);
    FOR stretch IN SELECT r.low, r.high FROM servitize.runs(days, interval '24 hours') r WHERE r.low < whole_to AND r.high > whole_from LOOP
        RETURN QUERY SELECT * FROM servitize.cover_hours(point, greatest(stretch.low, whole_from), least(stretch.high, whole_to), unrolled);
    END LOOP;
    IF time_from < whole_from THEN
        RETURN QUERY SELECT * FROM servitize.cover_hours(point, time_from, whole_from, unrolled);
    END IF;
    IF whole_to < time_to THEN
        RETURN QUERY SELECT * FROM servitize.cover_hours(point, whole_to, time_to, unrolled);
    END IF;
END $$;

-- How fine a point is still kept at a moment: 0 raw, 1 minutes, 2 hours, 3 days.
CREATE FUNCTION servitize.finest_kept(point int, moment timestamptz) RETURNS int
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(max(CASE z.kind WHEN 'raw' THEN 1 WHEN 'minute' THEN 2 WHEN 'hour' THEN 3 END), 0)
      FROM servitize.point p
      JOIN servitize.equipment e ON e.id = p.equipment_id
      JOIN servitize.retention_horizon z ON z.tenant_id = e.tenant_id AND z.kind IN ('raw', 'minute', 'hour') AND z.before > moment
     WHERE p.id = point
$$;

-- One of the above by level: 1 minutes, 2 hours, 3 days.
CREATE FUNCTION servitize.cover(point int, time_from timestamptz, time_to timestamptz, level int)
    RETURNS TABLE (bucket timestamptz, count bigint, good bigint, usable bigint, min float8, max float8, sum float8, first float8, last float8,
                   first_at timestamptz, last_at timestamptz, min_at timestamptz, max_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    unrolled timestamptz[] := servitize.unrolled_hours(point, time_from, time_to);
BEGIN
    IF level = 3 THEN
        RETURN QUERY SELECT * FROM servitize.cover_days(point, time_from, time_to, unrolled);
    ELSIF level = 2 THEN
        RETURN QUERY SELECT * FROM servitize.cover_hours(point, time_from, time_to, unrolled);
    ELSE
        RETURN QUERY SELECT * FROM servitize.cover_minutes(point, time_from, time_to, unrolled);
    END IF;
END $$;

-- At most as many readings as pixels, each one really stored: of every stretch the first, the last, the smallest and the largest. From raw where a
-- stretch is shorter than a minute, else from the coarsest rollup that is not wider than a stretch. Extremes are of readings that are
-- not bad (a broken sensor must not flatten the curve); where there are no more readings than pixels, all come. Out of rollups come only
-- readings that are not bad, and their quality is good (192) where their whole bucket is, else uncertain (64). Where raw is no longer
-- kept, the finest that is.
CREATE OR REPLACE FUNCTION servitize.readings_thinned(point int, time_from timestamptz, time_to timestamptz, pixels int)
    RETURNS TABLE (ts timestamptz, value float8, quality smallint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    few    boolean;
    stride interval;
    kept   int;
    level  int;
BEGIN
    IF pixels < 4 OR time_to <= time_from THEN
        RAISE EXCEPTION 'at least 4 pixels, and an end after the start' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT servitize.point_visible(point) THEN
        RETURN;
    END IF;
    kept := servitize.finest_kept(point, time_from);
    IF kept = 0 THEN
        SELECT count(*) <= pixels INTO few
          FROM (SELECT FROM servitize.reading r
                 WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to LIMIT pixels + 1) n;
        IF few THEN
            RETURN QUERY SELECT r.ts, r.value, r.quality FROM servitize.reading r
                          WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to ORDER BY r.ts;
            RETURN;
        END IF;
    END IF;
    stride := greatest((time_to - time_from) / (pixels / 4) + interval '1 microsecond', interval '2 microseconds');
    level := greatest(kept, CASE WHEN stride >= interval '24 hours' THEN 3 WHEN stride >= interval '1 hour' THEN 2
                                 WHEN stride >= interval '1 minute' THEN 1 ELSE 0 END);
    IF level = 0 THEN
        RETURN QUERY
            WITH raw AS MATERIALIZED (
                SELECT date_bin(stride, r.ts, time_from) AS bucket, r.ts, r.value, r.quality, servitize.usable(r.value, r.quality) AS usable
                  FROM servitize.reading r WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to),
            edge AS MATERIALIZED (
                SELECT raw.bucket, min(raw.ts) AS first, max(raw.ts) AS last,
                       min(raw.value) FILTER (WHERE raw.usable) AS low, max(raw.value) FILTER (WHERE raw.usable) AS high
                  FROM raw GROUP BY raw.bucket),
            extreme AS (
                SELECT min(raw.ts) FILTER (WHERE raw.value = edge.low) AS low_at,
                       min(raw.ts) FILTER (WHERE raw.value = edge.high) AS high_at
                  FROM raw JOIN edge USING (bucket) WHERE raw.usable GROUP BY raw.bucket),
            kept_at AS (
                SELECT edge.first AS moment FROM edge UNION SELECT edge.last FROM edge
                UNION SELECT extreme.low_at FROM extreme UNION SELECT extreme.high_at FROM extreme)
            SELECT raw.ts, raw.value, raw.quality FROM raw JOIN kept_at ON kept_at.moment = raw.ts ORDER BY raw.ts;
        RETURN;
    END IF;
    RETURN QUERY
        WITH fine AS MATERIALIZED (
            SELECT date_bin(stride, c.first_at, time_from) AS stretch, c.*, CASE WHEN c.good = c.count THEN 192 ELSE 64 END::smallint AS quality
              FROM servitize.cover(point, time_from, time_to, level) c WHERE c.usable > 0),
        edge AS MATERIALIZED (
            SELECT f.stretch, min(f.first_at) AS first_at, max(f.last_at) AS last_at, min(f.min) AS low, max(f.max) AS high
              FROM fine f GROUP BY f.stretch),
        extreme AS (
            SELECT e.stretch, min(f.min_at) FILTER (WHERE f.min = e.low) AS low_at, min(f.max_at) FILTER (WHERE f.max = e.high) AS high_at
              FROM edge e JOIN fine f USING (stretch) GROUP BY e.stretch),
        found AS (
            SELECT f.first_at AS moment, f.first AS value, f.quality FROM fine f JOIN edge e USING (stretch) WHERE f.first_at = e.first_at
            UNION ALL SELECT f.last_at, f.last, f.quality FROM fine f JOIN edge e USING (stretch) WHERE f.last_at = e.last_at
            UNION ALL SELECT f.min_at, f.min, f.quality FROM fine f JOIN extreme x USING (stretch) WHERE f.min_at = x.low_at
            UNION ALL SELECT f.max_at, f.max, f.quality FROM fine f JOIN extreme x USING (stretch) WHERE f.max_at = x.high_at)
        SELECT DISTINCT ON (found.moment) found.moment, found.value, found.quality FROM found ORDER BY found.moment;
END $$;

-- A point in steps of whole minutes (counted from 2000-01-01 UTC), only those with readings: of the usable ones least, greatest, mean, first and
-- last; how many there are in all, and which share of them is good. Exact, also where rollups are behind. Steps that window or
-- retention cut hold what is left of them.
CREATE FUNCTION servitize.rollups(point int, time_from timestamptz, time_to timestamptz, step interval)
    RETURNS TABLE (bucket timestamptz, min float8, max float8, mean float8, first float8, last float8, count bigint, good_share float8)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    minutes numeric := extract(epoch FROM step) / 60;
    level   int;
BEGIN
    IF extract(month FROM step) <> 0 OR extract(year FROM step) <> 0 OR minutes < 1 OR minutes <> trunc(minutes) OR time_to <= time_from THEN
        RAISE EXCEPTION 'steps of whole minutes, hours or days, and an end after the start' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT servitize.point_visible(point) THEN
        RETURN;
    END IF;
    level := greatest(servitize.finest_kept(point, time_from),
                      CASE WHEN minutes % 1440 = 0 THEN 3 WHEN minutes % 60 = 0 THEN 2 ELSE 1 END);
    RETURN QUERY
        WITH fine AS MATERIALIZED (
            SELECT date_bin(step, c.bucket, timestamptz '2000-01-01 00:00:00+00') AS step_at, c.*
              FROM servitize.cover(point, time_from, time_to, level) c),
        wide AS MATERIALIZED (
            SELECT f.step_at, min(f.min) AS min, max(f.max) AS max, sum(f.sum) / nullif(sum(f.usable), 0) AS mean, min(f.first_at) AS first_at,
                   max(f.last_at) AS last_at, sum(f.count)::bigint AS count, (sum(f.good) / sum(f.count))::float8 AS good_share
              FROM fine f GROUP BY f.step_at)
        SELECT w.step_at, w.min, w.max, w.mean::float8,
               max(f.first) FILTER (WHERE f.first_at = w.first_at), max(f.last) FILTER (WHERE f.last_at = w.last_at), w.count, w.good_share
          FROM wide w JOIN fine f USING (step_at)
         GROUP BY w.step_at, w.min, w.max, w.mean, w.count, w.good_share
         ORDER BY w.step_at;
END $$;

-- For SQL of boards over many points; behind raw by what the job has not done yet (rollups() is not).
CREATE VIEW servitize.rollup_hour_visible WITH (security_barrier) AS
SELECT h.point_id, h.bucket, h.min, h.max, h.sum / nullif(h.usable, 0) AS mean, h.first, h.last, h.count, h.good::float8 / h.count AS good_share
  FROM servitize.rollup_hour h
 WHERE h.point_id IN (SELECT p.id FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id);

CREATE VIEW servitize.rollup_day_visible WITH (security_barrier) AS
SELECT d.point_id, d.bucket, d.min, d.max, d.sum / nullif(d.usable, 0) AS mean, d.first, d.last, d.count, d.good::float8 / d.count AS good_share
  FROM servitize.rollup_day d
 WHERE d.point_id IN (SELECT p.id FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id);

GRANT SELECT ON servitize.rollup_hour_visible, servitize.rollup_day_visible TO servitize_api, servitize_board;
GRANT EXECUTE ON FUNCTION servitize.rollups TO servitize_api, servitize_board;
