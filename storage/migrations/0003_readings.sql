-- Readings on plain PostgreSQL: the one engine-specific file. Everything outside knows only the table name (the writer), the
-- functions and views below (readers), and ensure_partitions.

-- One key, (point_id, ts): a point's last hour is a handful of pages. received_at is beside, not part of, the identity.
CREATE TABLE servitize.reading (
    point_id    int NOT NULL,
    ts          timestamptz NOT NULL,
    value       float8 NOT NULL,
    quality     smallint NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (point_id, ts)
) PARTITION BY RANGE (ts);

-- Catches what no partition takes. It should be empty: partition_alarm says so, ensure_partitions moves what it holds.
CREATE TABLE servitize.reading_default PARTITION OF servitize.reading DEFAULT;

CREATE VIEW servitize.partition_alarm AS
SELECT count(*) AS stray_readings, min(ts) AS oldest, max(ts) AS newest FROM servitize.reading_default HAVING count(*) > 0;

-- Upper bound exclusive. Bounds are read back from the catalogue: what exists decides, not what a rule would make today.
CREATE FUNCTION servitize.reading_partitions()
    RETURNS TABLE (name text, lower timestamptz, upper timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT b.name, b.bound[1]::timestamptz, b.bound[2]::timestamptz
      FROM (SELECT c.relname::text AS name,
                   regexp_match(pg_get_expr(c.relpartbound, c.oid), $re$FROM \('([^']+)'\) TO \('([^']+)'\)$re$) AS bound
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'servitize.reading'::regclass) b
     WHERE b.bound IS NOT NULL
     ORDER BY 2
$$;

-- Makes every partition that readings from first to last (inclusive) need, and returns the gapless range around them that is
-- now covered, so a writer asks once per range. Width by age: a week up to two months back and ahead (dropping and vacuuming
-- stay cheap where data is dense), a month up to two years, a year before that (replays of old recordings are thin, and a device whose clock
-- says 1980 must not make hundreds of tables). Neighbours that exist clip the wanted range, so rules may change with time and age.
-- ATTACH, not PARTITION OF: readers and writers of other partitions are not held up.
CREATE FUNCTION servitize.ensure_partitions(first timestamptz, last timestamptz, OUT covered_from timestamptz, OUT covered_to timestamptz)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
    moment    timestamptz := first;
    part_low  timestamptz;
    part_high timestamptz;
    width     text;
    name      text;
BEGIN
    IF first IS NULL OR last IS NULL OR last < first OR NOT isfinite(first) OR NOT isfinite(last)
       OR first < '1900-01-01' OR last > now() + interval '50 years' THEN
        RAISE EXCEPTION 'no partitions from % to %', first, last USING ERRCODE = 'invalid_parameter_value',
            HINT = 'times lie between 1900 and 50 years ahead, the first not after the last';
    END IF;
    LOOP
        SELECT p.lower, p.upper INTO part_low, part_high
          FROM servitize.reading_partitions() p WHERE p.lower <= moment AND p.upper > moment;
        IF part_low IS NULL THEN
            PERFORM pg_advisory_xact_lock(hashtext('servitize.ensure_partitions'));
            SELECT p.lower, p.upper INTO part_low, part_high
              FROM servitize.reading_partitions() p WHERE p.lower <= moment AND p.upper > moment;
        END IF;
        IF part_low IS NULL THEN
            width := CASE WHEN moment >= now() - interval '2 months' THEN 'week'
                          WHEN moment >= now() - interval '2 years' THEN 'month'
                          ELSE 'year' END;
            part_low := date_trunc(width, moment);
            part_high := part_low + ('1 ' || width)::interval;
            SELECT greatest(part_low, max(p.upper) FILTER (WHERE p.upper <= moment)),
                   least(part_high, min(p.lower) FILTER (WHERE p.lower > moment))
              INTO part_low, part_high FROM servitize.reading_partitions() p;
            name := 'reading_' || to_char(part_low, 'YYYYMMDD');
            EXECUTE format(
                'CREATE TABLE servitize.%I (LIKE servitize.reading, CONSTRAINT bound CHECK (ts >= %L AND ts < %L))',
                name, part_low, part_high);
            IF EXISTS (SELECT FROM servitize.reading_default d WHERE d.ts >= part_low AND d.ts < part_high) THEN
                LOCK TABLE servitize.reading_default IN ACCESS EXCLUSIVE MODE;
                EXECUTE format(
                    'WITH moved AS (DELETE FROM servitize.reading_default WHERE ts >= %L AND ts < %L RETURNING *)'
                    ' INSERT INTO servitize.%I SELECT * FROM moved', part_low, part_high, name);
            END IF;
            EXECUTE format('ALTER TABLE servitize.reading ATTACH PARTITION servitize.%I FOR VALUES FROM (%L) TO (%L)',
                           name, part_low, part_high);
            -- the partition bound says it now; a second copy would only cost each row a check
            EXECUTE format('ALTER TABLE servitize.%I DROP CONSTRAINT bound', name);
        END IF;
        covered_from := coalesce(covered_from, part_low);
        covered_to := part_high;
        EXIT WHEN covered_to > last;
        moment := covered_to;
    END LOOP;
END $$;

-- Four weeks ahead; called daily and at every start. True where something lies in the default partition.
CREATE FUNCTION servitize.maintain_partitions() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM servitize.ensure_partitions(now() - interval '1 day', now() + interval '28 days');
    RETURN EXISTS (SELECT FROM servitize.partition_alarm);
END $$;

-- Latest by event time, flushed by the writer at most once a second per point. Room on the page keeps the updates off the index.
CREATE TABLE servitize.latest_reading (
    point_id    int PRIMARY KEY,
    ts          timestamptz NOT NULL,
    value       float8 NOT NULL,
    quality     smallint NOT NULL,
    received_at timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

-- After a writer died between a commit and a flush: bring latest_reading up to what is stored. One index probe per point and
-- partition that is not older than the point's latest.
CREATE FUNCTION servitize.repair_latest() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    repaired bigint;
BEGIN
    INSERT INTO servitize.latest_reading AS l (point_id, ts, value, quality, received_at)
    SELECT p.id, n.ts, n.value, n.quality, n.received_at
      FROM servitize.point p
      LEFT JOIN servitize.latest_reading k ON k.point_id = p.id
     CROSS JOIN LATERAL (
           SELECT r.ts, r.value, r.quality, r.received_at FROM servitize.reading r
            WHERE r.point_id = p.id AND r.ts >= coalesce(k.ts, '-infinity')
            ORDER BY r.ts DESC LIMIT 1) n
     WHERE (k.ts, k.value, k.quality) IS DISTINCT FROM (n.ts, n.value, n.quality)
    ON CONFLICT (point_id) DO UPDATE
       SET ts = excluded.ts, value = excluded.value, quality = excluded.quality, received_at = excluded.received_at;
    GET DIAGNOSTICS repaired = ROW_COUNT;
    RETURN repaired;
END $$;

CREATE FUNCTION servitize.point_visible(point int) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    RETURN EXISTS (
        SELECT FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id WHERE p.id = point);

-- For SQL of boards; the barrier keeps functions of the asker away from rows that are not theirs.
CREATE VIEW servitize.reading_visible WITH (security_barrier) AS
SELECT r.point_id, r.ts, r.value, r.quality, r.received_at
  FROM servitize.reading r
 WHERE r.point_id IN (SELECT p.id FROM servitize.point p JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id);

CREATE VIEW servitize.latest_visible WITH (security_barrier) AS
SELECT p.equipment_id, l.point_id, p.key, p.unit, p.kind, l.ts, l.value, l.quality, l.received_at
  FROM servitize.point p
  JOIN servitize.my_equipment m ON m.equipment_id = p.equipment_id
  JOIN servitize.latest_reading l ON l.point_id = p.id;

-- Raw readings of one point, from inclusive, to exclusive; nothing where the point is not visible.
CREATE FUNCTION servitize.readings(point int, time_from timestamptz, time_to timestamptz, max_rows int DEFAULT NULL)
    RETURNS TABLE (ts timestamptz, value float8, quality smallint, received_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT servitize.point_visible(point) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT r.ts, r.value, r.quality, r.received_at FROM servitize.reading r
         WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to
         ORDER BY r.ts LIMIT max_rows;
END $$;

-- At most as many readings as pixels, each one really stored: of every bucket the first, the last, the smallest and the largest. The extremes
-- are of readings that are not bad (a broken sensor must not flatten the curve); where there are no more than pixels, all.
CREATE FUNCTION servitize.readings_thinned(point int, time_from timestamptz, time_to timestamptz, pixels int)
    RETURNS TABLE (ts timestamptz, value float8, quality smallint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    few    boolean;
    stride interval;
BEGIN
    IF pixels < 4 OR time_to <= time_from THEN
        RAISE EXCEPTION 'at least 4 pixels, and an end after the start' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT servitize.point_visible(point) THEN
        RETURN;
    END IF;
    SELECT count(*) <= pixels INTO few
      FROM (SELECT FROM servitize.reading r
             WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to LIMIT pixels + 1) n;
    IF few THEN
        RETURN QUERY SELECT r.ts, r.value, r.quality FROM servitize.reading r
                      WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to ORDER BY r.ts;
        RETURN;
    END IF;
    stride := greatest((time_to - time_from) / (pixels / 4) + interval '1 microsecond', interval '2 microseconds');
    RETURN QUERY
        WITH raw AS MATERIALIZED (
            SELECT date_bin(stride, r.ts, time_from) AS bucket, r.ts, r.value, r.quality,
                   r.quality >= 64 AND r.value <> 'NaN' AS usable
              FROM servitize.reading r WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to),
        edge AS MATERIALIZED (
            SELECT raw.bucket, min(raw.ts) AS first, max(raw.ts) AS last,
                   min(raw.value) FILTER (WHERE raw.usable) AS low, max(raw.value) FILTER (WHERE raw.usable) AS high
              FROM raw GROUP BY raw.bucket),
        extreme AS (
            SELECT min(raw.ts) FILTER (WHERE raw.value = edge.low) AS low_at,
                   min(raw.ts) FILTER (WHERE raw.value = edge.high) AS high_at
              FROM raw JOIN edge USING (bucket) WHERE raw.usable GROUP BY raw.bucket),
        kept AS (
            SELECT edge.first AS moment FROM edge UNION SELECT edge.last FROM edge
            UNION SELECT extreme.low_at FROM extreme UNION SELECT extreme.high_at FROM extreme)
        SELECT raw.ts, raw.value, raw.quality FROM raw JOIN kept ON kept.moment = raw.ts ORDER BY raw.ts;
END $$;

-- Stretches longer than longest without a reading of the point, inside [time_from, time_to); open ends count.
CREATE FUNCTION servitize.reading_gaps(point int, time_from timestamptz, time_to timestamptz, longest interval)
    RETURNS TABLE (gap_from timestamptz, gap_to timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT servitize.point_visible(point) THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT s.low, s.high
          FROM (SELECT lag(m.moment) OVER (ORDER BY m.moment) AS low, m.moment AS high
                  FROM (SELECT time_from AS moment
                        UNION ALL
                        SELECT r.ts FROM servitize.reading r
                         WHERE r.point_id = point AND r.ts >= time_from AND r.ts < time_to
                        UNION ALL SELECT time_to) m) s
         WHERE s.high - s.low > longest
         ORDER BY s.low;
END $$;
