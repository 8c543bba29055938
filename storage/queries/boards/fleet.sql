-- The whole fleet, worst first.

-- name: summary()
SELECT count(*) AS machines,
       count(*) FILTER (WHERE h.index < 80) AS need_attention,
       (SELECT count(*) FROM servitize.alarm a
         WHERE a.state IN ('unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged')
           AND a.first_out IS NULL) AS unacknowledged,
       (SELECT count(*) FROM servitize.alarm a WHERE a.active AND a.concern = 'instrument') AS suspect_instruments,
       count(*) FILTER (WHERE NOT EXISTS (
           SELECT FROM servitize.latest_visible l WHERE l.equipment_id = e.id AND l.ts > (SELECT servitize.timeline_now()) - interval '15 minutes')) AS silent
  FROM servitize.equipment e
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
 WHERE e.status = 'approved';

-- name: machines()
-- One row per machine, worst first; unknown health before good health, since nobody knows. Why: its most urgent alarm, else what takes most
-- from its health.
SELECT e.id AS equipment_id, e.name AS equipment, t.name AS type, s.name AS site, h.index AS health,
       coalesce(k.title, h.reasons->0->>'text', '') AS reason, coalesce(c.state, 'unknown') AS state, c.at AS state_since,
       coalesce(a.urgent, 0) AS urgent, coalesce(a.high, 0) AS high, coalesce(a.medium, 0) AS medium, coalesce(a.low, 0) AS low,
       h.at AS assessed_at
  FROM servitize.equipment e
  LEFT JOIN servitize.equipment_type t ON t.key = e.type_key
  LEFT JOIN servitize.site s ON s.id = e.site_id
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
  LEFT JOIN LATERAL (
      SELECT x.state, x.at FROM servitize.state_change x WHERE x.equipment_id = e.id ORDER BY x.at DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (
      SELECT x.title FROM servitize.alarm x
       WHERE x.equipment_id = e.id AND x.active AND x.first_out IS NULL
         AND x.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service')
       ORDER BY x.concern <> 'machine', servitize.priority_rank(x.priority), x.raised_at DESC LIMIT 1) k ON true
  LEFT JOIN (
      SELECT x.equipment_id, count(*) FILTER (WHERE x.priority = 'urgent') AS urgent, count(*) FILTER (WHERE x.priority = 'high') AS high,
             count(*) FILTER (WHERE x.priority = 'medium') AS medium, count(*) FILTER (WHERE x.priority = 'low') AS low
        FROM servitize.alarm x
       WHERE x.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service') AND x.first_out IS NULL
       GROUP BY x.equipment_id) a ON a.equipment_id = e.id
 WHERE e.status = 'approved'
 ORDER BY least(coalesce(h.index, 79), CASE WHEN a.urgent > 0 THEN 59 WHEN a.high > 0 THEN 79 ELSE 100 END), h.index NULLS FIRST, e.name, e.id;

-- name: health_over_time(from_us, to_us)
-- Each machine's health at the ends of 48 equal steps.
WITH span AS (
    SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high,
           (servitize.from_us(:to_us::bigint) - servitize.from_us(:from_us::bigint)) / 48 AS width),
step AS (
    SELECT span.low + n * span.width AS start, span.low + (n + 1) * span.width AS finish
      FROM span, generate_series(0, 47) AS n)
SELECT step.start AS time, e.name AS metric, k.index AS value, e.id AS equipment_id
  FROM servitize.equipment e
  JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
 CROSS JOIN step
 CROSS JOIN LATERAL (
       SELECT x.index FROM servitize.health_history x
        WHERE x.equipment_id = e.id AND x.component = '' AND x.at < step.finish
        ORDER BY x.at DESC LIMIT 1) k
 WHERE e.status = 'approved'
 ORDER BY step.start, h.index, e.name;

-- name: alarms_by_priority()
SELECT p.priority AS label, count(a.id) AS value
  FROM unnest(ARRAY['urgent', 'high', 'medium', 'low']) WITH ORDINALITY AS p (priority, rank)
  LEFT JOIN servitize.alarm a ON a.priority = p.priority AND a.first_out IS NULL
   AND a.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service')
 GROUP BY p.priority, p.rank
 ORDER BY p.rank;

-- name: standing_alarms(equipment)
-- Not normal, most urgent and newest first; consequences of another alarm are counted at their cause. Equipment NULL: of all.
SELECT a.id AS alarm_id, e.id AS equipment_id, e.name AS equipment, a.component, a.priority, a.state, a.concern, a.title, a.value,
       p.unit, a."limit", a.raised_at, a.consequence, a.action, a.occurrences,
       (SELECT count(*) FROM servitize.alarm k
         WHERE k.equipment_id = a.equipment_id AND k.first_out = a.condition AND k.state <> 'normal') AS consequences
  FROM servitize.alarm a
  JOIN servitize.equipment e ON e.id = a.equipment_id
  LEFT JOIN servitize.point p ON p.equipment_id = a.equipment_id AND p.key = a.point
 WHERE a.state <> 'normal' AND a.first_out IS NULL AND (:equipment::int IS NULL OR a.equipment_id = :equipment::int)
 ORDER BY a.state IN ('shelved', 'suppressed_by_design', 'out_of_service'),
          servitize.priority_rank(a.priority), a.raised_at DESC NULLS LAST, a.id
 LIMIT 200;
