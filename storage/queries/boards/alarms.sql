-- How well the alarm system serves its operators: EEMUA 191, ISA-18.2. Announced means: people were told.

-- name: performance(from_us, to_us)
-- Periods of ten minutes; a flood begins with more than 10 in a period and ends with fewer than 5.
WITH span AS (SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high),
told AS MATERIALIZED (
    SELECT j.at, j.alarm_id FROM servitize.alarm_journal j, span
     WHERE j.announced AND j.at >= span.low AND j.at < span.high),
period AS MATERIALIZED (
    SELECT s.start, count(t.at) AS n
      FROM span CROSS JOIN LATERAL generate_series(span.low, span.high - interval '1 microsecond', interval '10 minutes') AS s (start)
      LEFT JOIN told t ON t.at >= s.start AND t.at < s.start + interval '10 minutes'
     GROUP BY s.start),
marked AS (
    SELECT p.start, p.n, count(*) FILTER (WHERE p.n > 10 OR p.n < 5) OVER (ORDER BY p.start) AS part FROM period p),
flood AS (
    SELECT m.start, first_value(m.n) OVER (PARTITION BY m.part ORDER BY m.start) > 10 AS flooded FROM marked m),
chatter AS (
    SELECT DISTINCT t.alarm_id
      FROM (SELECT told.alarm_id, told.at - lag(told.at, 2) OVER (PARTITION BY told.alarm_id ORDER BY told.at) AS third FROM told) t
     WHERE t.third < interval '1 minute')
SELECT (SELECT avg(p.n)::float8 FROM period p) AS per_period,
       (SELECT max(p.n) FROM period p) AS worst_period,
       (SELECT 100.0 * avg(f.flooded::int)::float8 FROM flood f) AS flood_share,
       (SELECT count(*) FROM servitize.alarm a
         WHERE a.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service')) AS standing,
       (SELECT count(*) FROM servitize.alarm a
         WHERE a.active AND a.state NOT IN ('shelved', 'suppressed_by_design', 'out_of_service')
           AND a.raised_at < (SELECT servitize.timeline_now()) - interval '24 hours') AS stale,
       (SELECT count(*) FROM chatter) AS chattering;

-- name: rate(from_us, to_us)
-- Announced alarms per ten minutes. Longer ranges show each step's worst ten minutes, so that a flood stays visible.
WITH span AS (SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high),
step AS (
    SELECT span.*, greatest(interval '10 minutes', date_bin('10 minutes', '2000-01-01'::timestamptz + (span.high - span.low) / 300, '2000-01-01')
                            - '2000-01-01'::timestamptz) AS width FROM span),
period AS MATERIALIZED (
    SELECT date_bin('10 minutes', j.at, step.low) AS start, count(*) AS n
      FROM servitize.alarm_journal j, step
     WHERE j.announced AND j.at >= step.low AND j.at < step.high GROUP BY 1)
SELECT s.start AS time, 'announced' AS metric, coalesce(max(p.n), 0)::float8 AS value
  FROM step
 CROSS JOIN LATERAL generate_series(step.low, step.high - interval '1 microsecond', step.width) AS s (start)
  LEFT JOIN period p ON p.start >= s.start AND p.start < s.start + step.width
 GROUP BY s.start
 ORDER BY s.start;

-- name: standing_over_time(from_us, to_us)
-- Alarms that are not normal, counted on from what stood before.
WITH span AS (SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high),
step AS MATERIALIZED (
    SELECT j.at, j.id, (j.to_state <> 'normal')::int - (j.from_state <> 'normal')::int AS change
      FROM servitize.alarm_journal j, span
     WHERE j.at < span.high AND (j.from_state = 'normal') <> (j.to_state = 'normal')),
line AS (
    SELECT span.low AS at, 0::bigint AS id, coalesce(sum(step.change) FILTER (WHERE step.at < span.low), 0) AS change
      FROM span LEFT JOIN step ON true GROUP BY span.low
    UNION ALL SELECT step.at, step.id, step.change FROM step, span WHERE step.at >= span.low
    UNION ALL SELECT least(span.high, (SELECT servitize.timeline_now())), 9223372036854775807, 0 FROM span),
counted AS (SELECT line.at, sum(line.change) OVER (ORDER BY line.at, line.id) AS standing FROM line)
SELECT counted.at AS time, 'standing' AS metric, max(counted.standing)::float8 AS value
  FROM counted GROUP BY counted.at ORDER BY counted.at
 LIMIT 20000;

-- name: bad_actors(from_us, to_us)
-- The ten that spoke most. "share" of all that was announced, in percent.
WITH told AS MATERIALIZED (
    SELECT j.alarm_id, count(*) AS times, max(j.at) AS last_at
      FROM servitize.alarm_journal j
     WHERE j.announced AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint)
     GROUP BY j.alarm_id)
SELECT e.id AS equipment_id, e.name AS equipment, a.component, a.title, a.priority, t.times,
       (100.0 * t.times / sum(t.times) OVER ())::float8 AS share, t.last_at
  FROM told t
  JOIN servitize.alarm a ON a.id = t.alarm_id
  JOIN servitize.equipment e ON e.id = a.equipment_id
 ORDER BY t.times DESC, t.last_at DESC, a.id
 LIMIT 10;

-- name: chattering(from_us, to_us)
-- Three or more announcements of one alarm within a minute.
WITH told AS (
    SELECT j.alarm_id, j.at, j.at - lag(j.at, 2) OVER (PARTITION BY j.alarm_id ORDER BY j.at) AS third
      FROM servitize.alarm_journal j
     WHERE j.announced AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint))
SELECT e.id AS equipment_id, e.name AS equipment, a.title, count(*) AS times, max(told.at) AS last_at
  FROM told
  JOIN servitize.alarm a ON a.id = told.alarm_id
  JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE told.third < interval '1 minute'
 GROUP BY e.id, e.name, a.id, a.title
 ORDER BY times DESC, a.id
 LIMIT 20;

-- name: priorities(from_us, to_us)
-- Share of each priority in what was announced, in percent. EEMUA 191 wants about 5 % high and above, 15 % medium, 80 % low.
WITH told AS MATERIALIZED (
    SELECT j.priority, count(*) AS n FROM servitize.alarm_journal j
     WHERE j.announced AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint)
     GROUP BY j.priority)
SELECT p.priority AS label, (100.0 * coalesce(t.n, 0) / nullif(sum(t.n) OVER (), 0))::float8 AS value
  FROM unnest(ARRAY['urgent', 'high', 'medium', 'low']) WITH ORDINALITY AS p (priority, rank)
  LEFT JOIN told t ON t.priority = p.priority
 ORDER BY p.rank;

-- name: response(from_us, to_us)
-- How long what was announced in this time waited for somebody, by priority, median in seconds of the clock; only what was acknowledged.
WITH told AS MATERIALIZED (
    SELECT j.id, j.alarm_id, j.priority, j.recorded_at FROM servitize.alarm_journal j
     WHERE j.announced AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint)),
answered AS (
    SELECT t.priority, extract(epoch FROM a.recorded_at - t.recorded_at) AS waited
      FROM told t
     CROSS JOIN LATERAL (
           SELECT x.event, x.recorded_at FROM servitize.alarm_journal x
            WHERE x.alarm_id = t.alarm_id AND x.id > t.id AND (x.announced OR x.event = 'acknowledge')
            ORDER BY x.id LIMIT 1) a
     WHERE a.event = 'acknowledge')
SELECT a.priority AS label, percentile_cont(0.5) WITHIN GROUP (ORDER BY a.waited)::float8 AS value
  FROM answered a
 GROUP BY a.priority
 ORDER BY servitize.priority_rank(a.priority);
