-- Trains with event records: what to do by when, doors, axle boxes, air, trouble codes; and the fleet of them.

-- name: advice(equipment)
-- Standing alarms by when somebody has to act; of one machine, or of all (NULL).
SELECT coalesce(a.detail->>'advice', '') AS advice, a.equipment_id, e.name AS equipment, a.title, a.consequence, a.action, a.raised_at
  FROM servitize.alarm a
  JOIN servitize.equipment e ON e.id = a.equipment_id
 WHERE (:equipment::int IS NULL OR a.equipment_id = :equipment::int)
   AND a.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service') AND a.first_out IS NULL AND a.detail ? 'advice'
 ORDER BY array_position(ARRAY['withdraw', 'end_of_day', 'next_inspection'], a.detail->>'advice'), servitize.priority_rank(a.priority), a.raised_at;

-- name: doors(equipment)
-- Every door: its current against the doors of the same stop and its own past.
SELECT 'Door ' || (m.part)[2] AS row, 'Car ' || (m.part)[1] AS "column", CASE WHEN l.quality & 255 >= 64 THEN nullif(l.value, 'NaN') END AS value,
       :equipment::int AS equipment_id, 'car' || (m.part)[1] || '.door' || (m.part)[2] AS component
  FROM servitize.latest_visible l
 CROSS JOIN LATERAL regexp_match(l.key, '^car(\d+)\.door(\d+)\.friction$') AS m (part)
 WHERE l.equipment_id = :equipment::int AND m.part IS NOT NULL
 ORDER BY (m.part)[2]::int, (m.part)[1]::int;

-- name: boxes(equipment)
-- Every axle box: kelvin over the same place of the other cars that the other end of its axle does not share.
SELECT 'Axle ' || (m.part)[2] || CASE (m.part)[3] WHEN 'l' THEN ' left' ELSE ' right' END AS row, 'Car ' || (m.part)[1] AS "column",
       CASE WHEN l.quality & 255 >= 64 THEN nullif(l.value, 'NaN') END AS value, :equipment::int AS equipment_id,
       'car' || (m.part)[1] || '.axle' || (m.part)[2] || '.box_' || (m.part)[3] AS component
  FROM servitize.latest_visible l
 CROSS JOIN LATERAL regexp_match(l.key, '^car(\d+)\.axle(\d+)\.box_([lr])\.alone$') AS m (part)
 WHERE l.equipment_id = :equipment::int AND m.part IS NOT NULL
 ORDER BY (m.part)[2]::int, (m.part)[3], (m.part)[1]::int;

-- name: spread(equipment, pattern, from_us, to_us)
-- How far the points whose key matches lie apart, hour by hour.
SELECT x.bucket AS time, s.metric, s.value
  FROM (SELECT r.bucket, min(r.mean) AS least, percentile_cont(0.5) WITHIN GROUP (ORDER BY r.mean) AS middle,
               percentile_cont(0.9) WITHIN GROUP (ORDER BY r.mean) AS nine, max(r.mean) AS most
          FROM servitize.rollup_hour_visible r
         WHERE r.point_id = ANY (ARRAY(SELECT p.id FROM servitize.point p WHERE p.equipment_id = :equipment::int AND p.key ~ :pattern::text))
           AND r.mean <> 'NaN'
           AND r.bucket >= servitize.from_us(:from_us::bigint) AND r.bucket < servitize.from_us(:to_us::bigint)
         GROUP BY r.bucket) x
 CROSS JOIN LATERAL (VALUES ('most', x.most), ('nine', x.nine), ('middle', x.middle), ('least', x.least)) AS s (metric, value)
 ORDER BY x.bucket, s.metric;

-- name: troubles(equipment, from_us, to_us)
-- Reports of trouble codes that lie less than the type's consequence window apart are one trouble; the first by its own time speaks for it.
WITH reports AS MATERIALIZED (
    SELECT v.ts, v.body->>'code' AS code, coalesce(v.body->>'component', '') AS component,
           coalesce(v.ts - lag(v.ts) OVER w > (t.document->>'consequence_window')::interval, true) AS begins
      FROM servitize.event v
      JOIN servitize.equipment e ON e.id = v.equipment_id
      JOIN servitize.equipment_type t ON t.key = e.type_key
     WHERE v.equipment_id = :equipment::int AND v.kind = 'trouble_code' AND v.body ? 'code' AND v.body->'active' IS DISTINCT FROM 'false'::jsonb
       AND v.ts >= servitize.from_us(:from_us::bigint) AND v.ts < servitize.from_us(:to_us::bigint)
    WINDOW w AS (ORDER BY v.ts, v.body->>'component', v.body->>'code')),
numbered AS (
    SELECT r.*, count(*) FILTER (WHERE r.begins) OVER (ORDER BY r.ts, r.component, r.code) AS n FROM reports r),
grouped AS (
    SELECT min(x.ts) AS began, count(*) AS reports, count(DISTINCT (x.code, x.component)) AS codes,
           (array_agg(x.code ORDER BY x.ts, x.component, x.code))[1] AS code,
           (array_agg(x.component ORDER BY x.ts, x.component, x.code))[1] AS component
      FROM numbered x GROUP BY x.n)
SELECT g.began, g.code, coalesce(d.document->>'title', '') AS title, coalesce(k.name, g.component) AS component, g.reports, g.codes,
       coalesce(d.document->>'action', '') AS action
  FROM grouped g
  LEFT JOIN servitize.component k ON k.equipment_id = :equipment::int AND k.key = g.component
  LEFT JOIN LATERAL (
      SELECT c.document FROM servitize.equipment e
        JOIN servitize.equipment_type t ON t.key = e.type_key
       CROSS JOIN LATERAL jsonb_array_elements(t.document->'codes') AS c (document)
       WHERE e.id = :equipment::int AND c.document->>'code' = g.code LIMIT 1) d ON true
 ORDER BY g.began DESC
 LIMIT 200;

-- name: configuration(equipment, from_us, to_us)
-- Which vehicle stands in which place, and since when in the time asked for.
SELECT x.place, x.vehicle, x.since
  FROM (SELECT k.name AS place, k.position, r.value::bigint AS vehicle, r.ts AS since, r.value,
               lag(r.value) OVER (PARTITION BY p.id ORDER BY r.ts) AS before
          FROM servitize.point p
          JOIN servitize.component k ON k.id = p.component_id
         CROSS JOIN LATERAL servitize.readings_thinned(
               p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), 500) r
         WHERE p.equipment_id = :equipment::int AND p.key ~ '^car\d+\.vehicle$' AND r.quality & 255 >= 64 AND r.value <> 'NaN') x
 WHERE x.before IS DISTINCT FROM x.value
 ORDER BY x.position, x.since;

-- name: fleet()
-- One row per machine that counts kilometres, those that must be withdrawn first.
SELECT e.id AS equipment_id, e.name AS equipment, t.name AS type, h.index AS health, coalesce(c.state, 'unknown') AS state,
       v.odometer, coalesce(a.withdraw, 0) AS withdraw, coalesce(a.end_of_day, 0) AS end_of_day,
       coalesce(a.next_inspection, 0) AS next_inspection, v.door, v.box, v.leak
  FROM servitize.equipment e
  JOIN servitize.equipment_type t ON t.key = e.type_key
  JOIN servitize.point o ON o.equipment_id = e.id AND o.key = 'train.odometer'
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
  LEFT JOIN LATERAL (
      SELECT x.state FROM servitize.state_change x WHERE x.equipment_id = e.id ORDER BY x.at DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (
      SELECT max(l.value) FILTER (WHERE l.key = 'train.odometer') AS odometer,
             max(l.value) FILTER (WHERE l.key ~ '^car\d+\.door\d+\.friction$') AS door,
             max(l.value) FILTER (WHERE l.key ~ '^car\d+\.axle\d+\.box_[lr]\.alone$') AS box,
             max(l.value) FILTER (WHERE l.key = 'main_reservoir.leak_in_service') AS leak
        FROM servitize.latest_visible l WHERE l.equipment_id = e.id AND l.value <> 'NaN') v ON true
  LEFT JOIN (
      SELECT x.equipment_id, count(*) FILTER (WHERE x.detail->>'advice' = 'withdraw') AS withdraw,
             count(*) FILTER (WHERE x.detail->>'advice' = 'end_of_day') AS end_of_day,
             count(*) FILTER (WHERE x.detail->>'advice' = 'next_inspection') AS next_inspection
        FROM servitize.alarm x
       WHERE x.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service') AND x.first_out IS NULL
       GROUP BY x.equipment_id) a ON a.equipment_id = e.id
 WHERE e.status = 'approved'
 ORDER BY withdraw DESC, end_of_day DESC, h.index NULLS FIRST, e.name, e.id;

-- name: subsystems()
-- The worst component of each kind in each train.
SELECT k.item_class AS row, e.name AS "column", min(h.index) AS value, e.id AS equipment_id,
       (array_agg(k.key ORDER BY h.index NULLS LAST, k.position))[1] AS component
  FROM servitize.equipment e
  JOIN servitize.point o ON o.equipment_id = e.id AND o.key = 'train.odometer'
  JOIN servitize.component k ON k.equipment_id = e.id AND k.item_class <> ''
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = k.key
 WHERE e.status = 'approved'
 GROUP BY k.item_class, e.id, e.name
 ORDER BY k.item_class, e.name, e.id;

-- name: figures(from_us, to_us)
-- Kilometres, failures (alarms that take a train off the line, now or at the end of the day), kilometres between failures, delays.
WITH trains AS MATERIALIZED (
    SELECT e.id,
           (SELECT max(r.value) - min(r.value)
              FROM servitize.readings_thinned(p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), 16) r
             WHERE r.quality & 255 >= 64 AND r.value <> 'NaN') AS km
      FROM servitize.equipment e JOIN servitize.point p ON p.equipment_id = e.id AND p.key = 'train.odometer' WHERE e.status = 'approved'),
failed AS MATERIALIZED (
    SELECT count(*) AS n FROM servitize.alarm_journal j JOIN servitize.alarm a ON a.id = j.alarm_id
     WHERE j.equipment_id IN (SELECT trains.id FROM trains) AND j.event = 'raised' AND j.announced AND a.concern = 'machine'
       AND j.at >= servitize.from_us(:from_us::bigint) AND j.at < servitize.from_us(:to_us::bigint)
       AND j.detail->>'advice' IN ('withdraw', 'end_of_day'))
SELECT count(*) AS trains, sum(trains.km) AS km, min(failed.n) AS failures, sum(trains.km) / nullif(min(failed.n), 0) AS mdbf,
       (SELECT coalesce(sum(CASE WHEN jsonb_typeof(v.body->'minutes') = 'number' THEN (v.body->>'minutes')::float8 END), 0)
          FROM servitize.event v
         WHERE v.kind = 'delay' AND v.equipment_id IN (SELECT t.id FROM trains t)
           AND v.ts >= servitize.from_us(:from_us::bigint) AND v.ts < servitize.from_us(:to_us::bigint)) AS delay
  FROM trains CROSS JOIN failed;
