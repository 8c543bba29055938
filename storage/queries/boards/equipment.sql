-- One machine, and one component of it.

-- name: header(equipment)
SELECT h.index AS health, coalesce(c.state, 'unknown') AS state, c.at AS state_since,
       (SELECT count(*) FROM servitize.alarm a WHERE a.equipment_id = e.id AND a.state <> 'normal' AND a.first_out IS NULL) AS alarms,
       (SELECT count(*) FROM servitize.alarm a WHERE a.equipment_id = e.id AND a.active AND a.concern = 'instrument') AS suspect_instruments,
       (SELECT max(l.ts) FROM servitize.latest_visible l WHERE l.equipment_id = e.id) AS newest
  FROM servitize.equipment e
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
  LEFT JOIN LATERAL (
      SELECT x.state, x.at FROM servitize.state_change x WHERE x.equipment_id = e.id ORDER BY x.at DESC LIMIT 1) c ON true
 WHERE e.id = :equipment::int;

-- name: reasons(equipment, component)
-- What takes from the health, most first; suspects among the instruments take nothing and come last. What has become an alarm is told in the
-- alarm's words, with the value that raised it. Component NULL: of the machine.
SELECT h.equipment_id, h.component, coalesce(k.name, h.component) AS component_name, coalesce(a.title, r.x->>'text') AS reason,
       (r.x->>'takes')::float8 AS takes, coalesce(r.x->>'failure_mode', '') AS failure_mode, h.at AS assessed_at
  FROM servitize.health h
  LEFT JOIN servitize.component k ON k.equipment_id = h.equipment_id AND k.key = h.component
 CROSS JOIN LATERAL jsonb_array_elements(h.reasons) AS r (x)
  LEFT JOIN servitize.alarm a ON a.equipment_id = h.equipment_id AND a.condition = r.x->>'condition' AND a.active
 WHERE h.equipment_id = :equipment::int AND h.component <> '' AND (:component::text IS NULL OR h.component = :component::text)
 ORDER BY takes DESC NULLS LAST, h.index, reason
 LIMIT 100;

-- name: tree(equipment)
-- Components below each other as their dotted keys say, at every level the branch with the worst component first. A level that
-- only groups (car3) shows its worst component's health.
WITH leaf AS MATERIALIZED (
    SELECT k.key, k.name, k.position, h.index, h.reasons, string_to_array(k.key, '.') AS path
      FROM servitize.component k
      LEFT JOIN servitize.health h ON h.equipment_id = k.equipment_id AND h.component = k.key
     WHERE k.equipment_id = :equipment::int),
node AS MATERIALIZED (
    SELECT leaf.path[1 : n] AS path, min(leaf.index) AS worst, min(leaf.position) AS position, count(*) AS below
      FROM leaf CROSS JOIN LATERAL generate_series(1, cardinality(leaf.path)) AS n GROUP BY 1),
ranked AS MATERIALIZED (
    SELECT node.*, array_to_string(node.path, '.') AS key,
           -- siblings only: the rank among nodes of the same parent
           row_number() OVER (PARTITION BY node.path[1 : cardinality(node.path) - 1] ORDER BY node.worst NULLS FIRST, node.position) AS rank
      FROM node),
placed AS (
    SELECT r.*, (SELECT array_agg(a.rank ORDER BY cardinality(a.path)) FROM ranked a
                  WHERE a.path = r.path[1 : cardinality(a.path)]) AS place
      FROM ranked r),
alarm AS MATERIALIZED (
    SELECT a.component, count(*) AS alarms,
           (array_agg(a.title ORDER BY a.concern <> 'machine', servitize.priority_rank(a.priority), a.raised_at DESC)
            FILTER (WHERE a.active))[1] AS title
      FROM servitize.alarm a
     WHERE a.equipment_id = :equipment::int AND a.state <> 'normal' GROUP BY a.component)
SELECT :equipment::int AS equipment_id, p.key AS component, cardinality(p.path) - 1 AS depth,
       coalesce(l.name, regexp_replace(replace(initcap(p.path[cardinality(p.path)]), '_', ' '), '(\D)(\d)', '\1 \2', 'g')) AS name, coalesce(l.index, p.worst) AS health,
       coalesce(a.title, l.reasons->0->>'text', '') AS reason, coalesce(a.alarms, 0) AS alarms
  FROM placed p
  LEFT JOIN leaf l ON l.path = p.path
  LEFT JOIN alarm a ON a.component = p.key
 ORDER BY p.place;

-- name: states(equipment, from_us, to_us)
-- The state at the beginning, and every change since.
SELECT greatest(c.at, servitize.from_us(:from_us::bigint)) AS time, 'State' AS metric, c.state AS value
  FROM servitize.state_change c
 WHERE c.equipment_id = :equipment::int AND c.at < servitize.from_us(:to_us::bigint)
   AND c.at >= coalesce((SELECT max(x.at) FROM servitize.state_change x
                          WHERE x.equipment_id = :equipment::int AND x.at <= servitize.from_us(:from_us::bigint)), '-infinity')
 ORDER BY c.at
 LIMIT 5000;

-- name: health_over_time(equipment, component, from_us, to_us)
-- The machine and its six components that were worst meanwhile; with a component, only that one. Each begins with what held before.
WITH span AS (SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high),
shown AS MATERIALIZED (
    SELECT h.component FROM servitize.health h
     WHERE h.equipment_id = :equipment::int AND h.component = coalesce(:component::text, '')
    UNION ALL
    (SELECT x.component FROM servitize.health_history x, span
      WHERE :component::text IS NULL AND x.equipment_id = :equipment::int AND x.component <> ''
        AND x.at >= span.low AND x.at < span.high AND x.index < 95
      GROUP BY x.component ORDER BY min(x.index) LIMIT 6)),
line AS (
    SELECT span.low AS time, s.component, k.index
      FROM shown s CROSS JOIN span CROSS JOIN LATERAL (
           SELECT x.index FROM servitize.health_history x
            WHERE x.equipment_id = :equipment::int AND x.component = s.component AND x.at < span.low ORDER BY x.at DESC LIMIT 1) k
    UNION ALL
    SELECT x.at, x.component, x.index
      FROM shown s CROSS JOIN span
      JOIN servitize.health_history x ON x.equipment_id = :equipment::int AND x.component = s.component
       AND x.at >= span.low AND x.at < span.high
    UNION ALL
    SELECT least(span.high, (SELECT servitize.timeline_now())), s.component, h.index
      FROM shown s CROSS JOIN span
      JOIN servitize.health h ON h.equipment_id = :equipment::int AND h.component = s.component AND h.at < span.high)
SELECT line.time, CASE line.component WHEN '' THEN 'machine' ELSE coalesce(k.name, line.component) END AS metric, line.index AS value
  FROM line LEFT JOIN servitize.component k ON k.equipment_id = :equipment::int AND k.key = line.component
 ORDER BY line.time, line.component
 LIMIT 20000;

-- name: values(equipment, component)
-- Latest values beside the limits that speak in the present state, nearest to its limit first. Component NULL: of the machine.
WITH bound AS MATERIALIZED (
    SELECT l.point_id, max(l.low) AS low, min(l.high) AS high
      FROM servitize.limits_of(:equipment::int) l WHERE l.speaks AND l.concern = 'machine' GROUP BY l.point_id),
shown AS MATERIALIZED (
    SELECT p.id AS point_id, p.key AS point, k.key AS component, k.name AS component_name, p.description, l.value, p.unit, b.low, b.high, l.ts, l.quality,
           p.kind, p.position,
           greatest(CASE WHEN b.high > 0 THEN l.value / b.high WHEN b.high <= 0 AND l.value > b.high THEN 1.01 END,
                    CASE WHEN b.low > 0 THEN b.low / nullif(greatest(l.value, 0), 0)
                         WHEN b.low < 0 THEN l.value / b.low WHEN b.low = 0 AND l.value < 0 THEN 1.01 END) AS used
      FROM servitize.point p
      JOIN servitize.latest_visible l ON l.point_id = p.id AND l.equipment_id = :equipment::int
      LEFT JOIN servitize.component k ON k.id = p.component_id
      LEFT JOIN bound b ON b.point_id = p.id
     WHERE p.equipment_id = :equipment::int AND (:component::text IS NULL OR k.key = :component::text)),
judged AS (
    SELECT s.*, CASE WHEN s.quality & 255 < 64 OR s.value = 'NaN' THEN 'suspect'
                     WHEN s.ts < (SELECT servitize.timeline_now()) - interval '30 minutes' THEN 'silent'
                     WHEN s.value >= s.high OR s.value <= s.low THEN 'beyond'
                     WHEN s.used >= 0.85 THEN 'near'
                     WHEN s.low IS NULL AND s.high IS NULL THEN 'unlimited' ELSE 'within' END AS status
      FROM shown s)
SELECT :equipment::int AS equipment_id, j.point_id, j.point, j.component, j.component_name,
       coalesce(nullif(j.description, ''), j.point) AS description, nullif(j.value, 'NaN') AS value, j.unit, j.low, j.high, j.status, j.ts
  FROM judged j
 ORDER BY array_position(ARRAY['beyond', 'near', 'suspect', 'within', 'silent', 'unlimited'], j.status),
          j.used DESC NULLS LAST, j.kind = 'derived', j.position, j.point
 LIMIT 400;

-- name: components(equipment)
-- To choose from, worst first.
SELECT k.key AS value, k.name AS text
  FROM servitize.component k
  LEFT JOIN servitize.health h ON h.equipment_id = k.equipment_id AND h.component = k.key
 WHERE k.equipment_id = :equipment::int
 ORDER BY h.index NULLS LAST, k.position;

-- name: points(equipment, component)
-- To choose from: measured before derived; only what has readings.
SELECT p.id AS value, p.unit,
       coalesce(nullif(p.description, ''), p.key)
       || CASE p.unit WHEN '1' THEN '' WHEN 'Cel' THEN ', °C' WHEN 'um' THEN ', µm' WHEN 'deg' THEN ', °' WHEN 'm3/s' THEN ', m³/s'
               WHEN '{rpm}/min' THEN ', r/min' ELSE ', ' || p.unit END AS text
  FROM servitize.point p
  JOIN servitize.latest_visible l ON l.point_id = p.id AND l.equipment_id = :equipment::int
  LEFT JOIN servitize.component k ON k.id = p.component_id
 WHERE p.equipment_id = :equipment::int AND k.key = :component::text
 ORDER BY p.kind = 'derived', p.position, p.key;

-- name: alarms_of_component(equipment, component)
SELECT a.id AS alarm_id, a.equipment_id, a.priority, a.state, a.concern, a.title, a.value, p.unit, a."limit", a.raised_at, a.cleared_at,
       a.action, a.occurrences
  FROM servitize.alarm a
  LEFT JOIN servitize.point p ON p.equipment_id = a.equipment_id AND p.key = a.point
 WHERE a.equipment_id = :equipment::int AND a.component = :component::text
 ORDER BY a.state = 'normal', servitize.priority_rank(a.priority), a.raised_at DESC NULLS LAST
 LIMIT 100;

-- name: trend_with_limits(equipment, point, from_us, to_us, pixels)
-- The point's readings, gaps where they are bad, and the machine's limits of the present state across the whole time.
WITH span AS (SELECT servitize.from_us(:from_us::bigint) AS low, servitize.from_us(:to_us::bigint) AS high)
SELECT s.time, s.metric, s.value
  FROM (SELECT r.ts AS time, 'value' AS metric, CASE WHEN r.quality & 255 >= 64 THEN nullif(r.value, 'NaN') END AS value
          FROM span, servitize.readings_thinned(:point::int, span.low, span.high, :pixels::int) r
        UNION ALL
        SELECT edge.time, l.side, l.bound
          FROM span CROSS JOIN LATERAL (VALUES (span.low), (span.high)) AS edge (time)
         CROSS JOIN (
               SELECT 'high' AS side, min(x.high) AS bound FROM servitize.limits_of(:equipment::int) x
                WHERE x.point_id = :point::int AND x.concern = 'machine' HAVING min(x.high) IS NOT NULL
               UNION ALL
               SELECT 'low', max(x.low) FROM servitize.limits_of(:equipment::int) x
                WHERE x.point_id = :point::int AND x.concern = 'machine' HAVING max(x.low) IS NOT NULL) l) s
 ORDER BY s.time, s.metric;

-- name: trend(equipment, points, from_us, to_us, pixels)
-- Several points of one machine; "metric" is the point's key.
SELECT r.ts AS time, p.key AS metric, CASE WHEN r.quality & 255 >= 64 THEN nullif(r.value, 'NaN') END AS value
  FROM servitize.point p
 CROSS JOIN LATERAL servitize.readings_thinned(
       p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), :pixels::int) r
 WHERE p.equipment_id = :equipment::int AND p.key = ANY (:points::text[])
 ORDER BY r.ts, p.position;

-- name: stat_of_points(equipment, points)
-- Latest values in the order asked for.
SELECT p.key AS metric, l.value, p.unit, l.ts
  FROM unnest(:points::text[]) WITH ORDINALITY AS w (key, n)
  JOIN servitize.point p ON p.equipment_id = :equipment::int AND p.key = w.key
  JOIN servitize.latest_visible l ON l.point_id = p.id AND l.equipment_id = :equipment::int
 ORDER BY w.n;
