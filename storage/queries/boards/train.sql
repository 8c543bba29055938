-- A train: its parts are each other's best baseline.

-- name: header(equipment)
WITH now AS MATERIALIZED (
    SELECT l.key, l.value, l.ts FROM servitize.latest_visible l WHERE l.equipment_id = :equipment::int AND l.key LIKE 'train.%%')
SELECT h.index AS health,
       coalesce((SELECT c.state FROM servitize.state_change c WHERE c.equipment_id = h.equipment_id ORDER BY c.at DESC LIMIT 1), 'unknown') AS state,
       (SELECT count(*) FROM servitize.alarm a WHERE a.equipment_id = h.equipment_id AND a.state <> 'normal' AND a.first_out IS NULL) AS alarms,
       (SELECT now.value FROM now WHERE now.key = 'train.speed') AS speed,
       (SELECT now.value FROM now WHERE now.key = 'train.load') AS load,
       (SELECT now.value FROM now WHERE now.key = 'train.ambient_temperature') AS ambient,
       (SELECT now.value FROM now WHERE now.key = 'train.odometer') AS odometer
  FROM servitize.health h WHERE h.equipment_id = :equipment::int AND h.component = '';

-- name: cars(equipment)
-- The worst component of each subsystem in each car. Components are called car{n}.…; the subsystem is their class.
SELECT k.item_class AS row, 'Car ' || substring(k.key FROM '^car(\d+)\.') AS "column", min(h.index) AS value,
       :equipment::int AS equipment_id, (array_agg(k.key ORDER BY h.index NULLS LAST, k.position))[1] AS component
  FROM servitize.component k
  LEFT JOIN servitize.health h ON h.equipment_id = k.equipment_id AND h.component = k.key
 WHERE k.equipment_id = :equipment::int AND k.key ~ '^car\d+\.' AND k.item_class <> ''
 GROUP BY k.item_class, substring(k.key FROM '^car(\d+)\.')
 ORDER BY min(min(h.index)) OVER (PARTITION BY k.item_class) NULLS LAST, k.item_class, substring(k.key FROM '^car(\d+)\.')::int;

-- name: axle_boxes(equipment)
-- Each box over the median of the box at the same place of the other cars, corrected for its position where that was learned.
WITH now AS MATERIALIZED (
    SELECT (m.part)[1]::int AS car, (m.part)[2]::int AS box, (m.part)[3] AS what, l.value, l.ts, l.quality & 255 >= 64 AND l.value <> 'NaN' AS good
      FROM servitize.latest_visible l
     CROSS JOIN LATERAL regexp_match(l.key, '^car(\d+)\.axle_box(\d+)\.(temperature|excess)$') AS m (part)
     WHERE l.equipment_id = :equipment::int AND m.part IS NOT NULL),
middle AS (
    SELECT now.box, percentile_cont(0.5) WITHIN GROUP (ORDER BY now.value) AS median
      FROM now WHERE now.what = 'temperature' AND now.good GROUP BY now.box),
learned AS (
    -- an excess is told while in service; older than the temperature by hours it says nothing about now
    SELECT x.car, x.box, x.value FROM now x JOIN now t ON t.car = x.car AND t.box = x.box AND t.what = 'temperature'
     WHERE x.what = 'excess' AND x.good AND x.ts > t.ts - interval '30 minutes')
SELECT 'Box ' || t.box AS row, 'Car ' || t.car AS "column",
       CASE WHEN t.good THEN coalesce(l.value, t.value - m.median) END AS value,
       :equipment::int AS equipment_id, 'car' || t.car || '.axle_box' || t.box AS component
  FROM now t
  JOIN middle m ON m.box = t.box
  LEFT JOIN learned l ON l.car = t.car AND l.box = t.box
 WHERE t.what = 'temperature'
 ORDER BY t.box, t.car;

-- name: hottest_boxes(equipment, from_us, to_us, pixels)
-- Excess over time of the six boxes that are furthest above their peers now, or were in the newest day of rollups.
WITH ranked AS (
    SELECT p.id, k.name, greatest(
               (SELECT l.value FROM servitize.latest_visible l WHERE l.point_id = p.id AND l.equipment_id = :equipment::int AND l.value <> 'NaN'),
               (SELECT max(r.max) FROM servitize.rollup_hour_visible r
                 WHERE r.point_id = p.id AND r.bucket >= servitize.from_us(:from_us::bigint) AND r.bucket < servitize.from_us(:to_us::bigint))) AS worst
      FROM servitize.point p
      JOIN servitize.component k ON k.id = p.component_id
     WHERE p.equipment_id = :equipment::int AND p.key ~ '^car\d+\.axle_box\d+\.excess$')
SELECT t.ts AS time, s.name AS metric, CASE WHEN t.quality & 255 >= 64 THEN nullif(t.value, 'NaN') END AS value
  FROM (SELECT * FROM ranked WHERE ranked.worst IS NOT NULL ORDER BY ranked.worst DESC LIMIT 6) s
 CROSS JOIN LATERAL servitize.readings_thinned(
       s.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), :pixels::int) t
 ORDER BY t.ts, s.name;

-- name: by_part(equipment, pattern, from_us, to_us, pixels)
-- All points whose key matches, over time, under their component's name.
SELECT r.ts AS time, coalesce(k.name, p.key) AS metric, CASE WHEN r.quality & 255 >= 64 THEN nullif(r.value, 'NaN') END AS value
  FROM servitize.point p
  LEFT JOIN servitize.component k ON k.id = p.component_id
 CROSS JOIN LATERAL servitize.readings_thinned(
       p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), :pixels::int) r
 WHERE p.equipment_id = :equipment::int AND p.key ~ :pattern::text
 ORDER BY r.ts, p.position;

-- name: latest_by_part(equipment, pattern)
-- All points whose key matches, now, greatest first.
SELECT coalesce(k.name, p.key) AS label, CASE WHEN l.quality & 255 >= 64 THEN nullif(l.value, 'NaN') END AS value,
       :equipment::int AS equipment_id, k.key AS component, p.id AS point_id
  FROM servitize.point p
  JOIN servitize.latest_visible l ON l.point_id = p.id AND l.equipment_id = :equipment::int
  LEFT JOIN servitize.component k ON k.id = p.component_id
 WHERE p.equipment_id = :equipment::int AND p.key ~ :pattern::text
 ORDER BY value DESC NULLS LAST, p.position;
