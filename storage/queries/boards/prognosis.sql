-- What learned models that speak (champions) say of one machine.

-- name: machines()
-- What a reader may choose: of which a champion has said something; the first to reach a limit first.
SELECT e.id AS value, e.name AS text
  FROM servitize.equipment e
  LEFT JOIN LATERAL (SELECT min(r.date_p10) AS first, count(*) > 0 AS told FROM servitize.remaining_life r WHERE r.equipment_id = e.id) l ON true
 WHERE e.status = 'approved'
   AND (l.told OR EXISTS (SELECT FROM servitize.model_score s WHERE s.equipment_id = e.id AND s.champion))
 ORDER BY l.first NULLS LAST, e.name, e.id;

-- name: choices(equipment)
-- Whose life, and by which model: the shortest first.
SELECT r.model || '/' || r.component AS value,
       coalesce(c.name, nullif(r.component, ''), e.name) || ' · ' || r.model AS text, r.unit
  FROM servitize.remaining_life r
  JOIN servitize.equipment e ON e.id = r.equipment_id
  LEFT JOIN servitize.component c ON c.equipment_id = r.equipment_id AND c.key = r.component
 WHERE r.equipment_id = :equipment::int
 ORDER BY r.date_p50 NULLS LAST, r.p50, r.component, r.model;

-- name: lives(equipment)
-- The last word of each champion. A figure that equals the horizon reads "at least".
SELECT r.equipment_id, r.component, coalesce(c.name, nullif(r.component, ''), e.name) AS component_name, r.date_p10, r.date_p50, r.date_p90,
       r.p10, r.p50, r.p90, r.unit, CASE WHEN r.p50 >= r.horizon THEN 'at_least' ELSE 'as_told' END AS reads, r.at,
       r.model || '@' || r.version AS model
  FROM servitize.remaining_life r
  JOIN servitize.equipment e ON e.id = r.equipment_id
  LEFT JOIN servitize.component c ON c.equipment_id = r.equipment_id AND c.key = r.component
 WHERE r.equipment_id = :equipment::int
 ORDER BY r.date_p50 NULLS LAST, r.p50, r.component, r.model
 LIMIT 50;

-- name: told(equipment, life, days, from_us, to_us, pixels)
-- Of each stretch that is one pixel wide the last, looked up one by one: a year of words costs no more than a week. In the machine's own
-- clock, or in days (days = 1) from when it was told to the date; where no date was told (too far off, or the use not known yet) the line has a gap.
WITH stretch AS (SELECT greatest((:to_us::bigint - :from_us::bigint) / :pixels::int, 1000000) AS us),
said AS (
    SELECT p.*
      FROM servitize.remaining_life r
     CROSS JOIN stretch
     CROSS JOIN generate_series(:from_us::bigint, :to_us::bigint - 1, stretch.us) AS begin (us)
     CROSS JOIN LATERAL (
           SELECT x.at, x.p10, x.p50, x.p90, x.date_p10, x.date_p50, x.date_p90 FROM servitize.prognosis x
            WHERE x.equipment_id = r.equipment_id AND x.model = r.model AND x.component = r.component AND x.champion
              AND x.at >= servitize.from_us(begin.us) AND x.at < servitize.from_us(least(begin.us + stretch.us, :to_us::bigint))
            ORDER BY x.at DESC, x.version DESC LIMIT 1) p
     WHERE r.equipment_id = :equipment::int AND r.model || '/' || r.component = :life::text)
SELECT s.at AS time, v.metric,
       CASE :days::int WHEN 1 THEN extract(epoch FROM v.date - s.at)::float8 / 86400 ELSE v.value END AS value
  FROM said s
 CROSS JOIN LATERAL (VALUES ('p10', s.p10, s.date_p10), ('p50', s.p50, s.date_p50), ('p90', s.p90, s.date_p90)) AS v (metric, value, date)
 ORDER BY s.at, v.metric;

-- name: distance(equipment, from_us, to_us, pixels)
-- Of each stretch that is one pixel wide the farthest.
WITH said AS (
    SELECT DISTINCT ON (s.model, div(servitize.to_us(s.at) - :from_us::bigint, greatest((:to_us::bigint - :from_us::bigint) / :pixels::int, 1)))
           s.model, s.at, s.score
      FROM servitize.model_score s
     WHERE s.equipment_id = :equipment::int AND s.champion AND s.score IS NOT NULL AND s.score <> 'NaN'
       AND s.at >= servitize.from_us(:from_us::bigint) AND s.at < servitize.from_us(:to_us::bigint)
     ORDER BY s.model, div(servitize.to_us(s.at) - :from_us::bigint, greatest((:to_us::bigint - :from_us::bigint) / :pixels::int, 1)), s.score DESC)
SELECT s.at AS time, s.model AS metric, s.score AS value FROM said s ORDER BY s.at, s.model;

-- name: contributions(equipment, from_us, to_us)
-- Of each model the last look, by the point; and whether an alarm of the model stands.
WITH last AS MATERIALIZED (
    SELECT DISTINCT ON (s.model) s.model, s.version, s.at, s.score, s.contributions
      FROM servitize.model_score s
     WHERE s.equipment_id = :equipment::int AND s.champion
       AND s.at >= servitize.from_us(:from_us::bigint) AND s.at < servitize.from_us(:to_us::bigint)
     ORDER BY s.model, s.at DESC, s.change = 'raised' DESC NULLS LAST)
SELECT :equipment::int AS equipment_id, k.key AS component, p.id AS point_id, coalesce(nullif(p.description, ''), c.key) AS description,
       100 * c.value::float8 AS share, nullif(l.score, 'NaN') AS distance, coalesce(a.concern, 'normal') AS status, l.at,
       l.model || '@' || l.version AS model
  FROM last l
 CROSS JOIN LATERAL jsonb_each_text(l.contributions) c
  LEFT JOIN servitize.point p ON p.equipment_id = :equipment::int AND p.key = c.key
  LEFT JOIN servitize.component k ON k.id = p.component_id
  LEFT JOIN LATERAL (
       SELECT x.concern FROM servitize.alarm x
        WHERE x.equipment_id = :equipment::int AND x.active AND right(x.condition, length(l.model) + 1) = '/' || l.model
        ORDER BY x.concern <> 'machine' LIMIT 1) a ON true
 ORDER BY a.concern IS NULL, l.score DESC NULLS LAST, l.model, share DESC, description
 LIMIT 100;

-- name: drift(equipment)
-- Of each model that speaks the last window, the one that moved most first.
WITH last AS (
    SELECT DISTINCT ON (d.model) d.model, d.version, d.since, d.at, d.index, d.points
      FROM servitize.model_drift d WHERE d.equipment_id = :equipment::int AND d.champion
     ORDER BY d.model, d.at DESC, d.version DESC)
SELECT l.model || '@' || l.version AS model, l.index, coalesce(nullif(p.description, ''), w.key, '') AS description, l.since, l.at
  FROM last l
  LEFT JOIN LATERAL (SELECT x.key FROM jsonb_each_text(l.points) x ORDER BY x.value::float8 DESC, x.key LIMIT 1) w ON true
  LEFT JOIN servitize.point p ON p.equipment_id = :equipment::int AND p.key = w.key
 ORDER BY l.index DESC, l.model;
