-- A motor, a gear and a centrifugal compressor. The map is the data sheet's (its numbers are parameters): head coefficient over the reduced
-- flow phi = Q / (Q_design * s), s = speed / design speed; phi at the surge line is where the head is greatest.

-- name: operating_point(equipment, design_speed, design_flow, surge_flow)
-- Latest values; what is computed of them is NULL while the machine runs below 70 % of its design speed.
WITH now AS MATERIALIZED (
    SELECT max(l.value) FILTER (WHERE l.key = 'train.speed') AS speed,
           max(l.value) FILTER (WHERE l.key = 'motor.power') AS power,
           max(l.value) FILTER (WHERE l.key = 'process.inlet_flow') AS flow,
           max(l.value) FILTER (WHERE l.key = 'process.suction_pressure') AS p1,
           max(l.value) FILTER (WHERE l.key = 'process.discharge_pressure') AS p2,
           max(l.value) FILTER (WHERE l.key = 'process.suction_temperature') + 273.15 AS t1,
           max(l.value) FILTER (WHERE l.key = 'process.discharge_temperature') + 273.15 AS t2,
           max(l.value) FILTER (WHERE l.key = 'process.recycle_valve_position') AS recycle
      FROM servitize.latest_visible l WHERE l.equipment_id = :equipment::int AND l.quality & 255 >= 64 AND l.value <> 'NaN'),
reduced AS (
    SELECT now.*, CASE WHEN now.speed > 0.7 * :design_speed::float8
                       THEN now.flow * :design_speed::float8 / (:design_flow::float8 * now.speed) END AS phi FROM now)
SELECT r.speed, r.power, r.flow, CASE WHEN r.p1 > 0 THEN r.p2 / r.p1 END AS pressure_ratio,
       100 * (r.phi - :surge_flow::float8) / nullif(r.phi, 0) AS surge_margin,
       -- polytropic, of absolute pressures and temperatures, kappa of air
       CASE WHEN r.phi IS NOT NULL AND r.p1 > 0 AND r.p2 > r.p1 AND r.t2 > r.t1 THEN 100 * 0.2857 * ln(r.p2 / r.p1) / ln(r.t2 / r.t1) END AS efficiency,
       r.recycle
  FROM reduced r;

-- name: map(equipment, from_us, to_us, design_speed, design_flow, design_head, design_efficiency, surge_flow)
-- Speed lines and surge line at the present suction temperature; operating points, means of at least a minute; the newest one.
WITH now AS MATERIALIZED (
    SELECT coalesce(max(l.value) FILTER (WHERE l.key = 'process.suction_temperature' AND l.quality & 255 >= 64 AND l.value <> 'NaN'), 20)
           + 273.15 AS t1
      FROM servitize.latest_visible l WHERE l.equipment_id = :equipment::int),
curve AS (
    SELECT n.s, phi::float8 AS phi, :design_flow::float8 * n.s * phi AS x,
           0.2857 / (:design_efficiency::float8 * (1 - 0.9 * (phi - 1) ^ 2)) AS m,
           :design_head::float8 * n.s ^ 2 * (1.15 - 1.667 * (phi - :surge_flow::float8) ^ 2) AS head, now.t1
      FROM now CROSS JOIN unnest(ARRAY[0.7, 0.8, 0.9, 1.0, 1.05]::float8[]) AS n (s)
     CROSS JOIN generate_series(0.70, 1.30, 0.05) AS phi),
line AS (
    SELECT c.s, c.phi, c.x, (1 + c.m * c.head / (287 * c.t1)) ^ (1 / c.m) AS y FROM curve c),
width AS (
    SELECT make_interval(mins => greatest(1, ((:to_us::bigint - :from_us::bigint) / 60000000 / 200)::int)) AS step),
point AS MATERIALIZED (
    SELECT p.id, p.key FROM servitize.point p
     WHERE p.equipment_id = :equipment::int
       AND p.key IN ('train.speed', 'process.inlet_flow', 'process.suction_pressure', 'process.discharge_pressure')),
mean AS MATERIALIZED (
    SELECT r.bucket, max(r.mean) FILTER (WHERE p.key = 'train.speed') AS speed,
           max(r.mean) FILTER (WHERE p.key = 'process.inlet_flow') AS flow,
           max(r.mean) FILTER (WHERE p.key = 'process.suction_pressure') AS p1,
           max(r.mean) FILTER (WHERE p.key = 'process.discharge_pressure') AS p2
      FROM width CROSS JOIN point p
     CROSS JOIN LATERAL servitize.rollups(p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), width.step) r
     GROUP BY r.bucket),
shown AS (
    SELECT m.bucket, m.flow AS x, m.p2 / m.p1 AS y FROM mean m WHERE m.speed > 0.7 * :design_speed::float8 AND m.p1 > 0)
SELECT f.series, f.x, f.y
  FROM (SELECT 1 AS part, l.s AS place, l.phi AS along, 'speed_' || round(l.s * 100) AS series, l.x, l.y FROM line l
        UNION ALL SELECT 2, 0, l.s, 'surge_line', l.x, l.y FROM line l WHERE l.phi = 0.70
        UNION ALL SELECT 3, 0, extract(epoch FROM s.bucket)::float8, 'history', s.x, s.y FROM shown s
        UNION ALL (SELECT 4, 0, 0, 'now', s.x, s.y FROM shown s ORDER BY s.bucket DESC LIMIT 1)) f
 WHERE f.x IS NOT NULL AND f.y IS NOT NULL
 ORDER BY f.part, f.place, f.along;

-- name: surge_margin(equipment, from_us, to_us, pixels, design_speed, design_flow, surge_flow)
-- In percent of the flow; means of at least a minute.
WITH width AS (
    SELECT make_interval(mins => greatest(1, ((:to_us::bigint - :from_us::bigint) / 60000000 / least(:pixels::int, 400))::int)) AS step),
mean AS MATERIALIZED (
    SELECT r.bucket, max(r.mean) FILTER (WHERE p.key = 'train.speed') AS speed,
           max(r.mean) FILTER (WHERE p.key = 'process.inlet_flow') AS flow
      FROM width CROSS JOIN servitize.point p
     CROSS JOIN LATERAL servitize.rollups(p.id, servitize.from_us(:from_us::bigint), servitize.from_us(:to_us::bigint), width.step) r
     WHERE p.equipment_id = :equipment::int AND p.key IN ('train.speed', 'process.inlet_flow')
     GROUP BY r.bucket)
SELECT m.bucket AS time, 'surge_margin' AS metric,
       CASE WHEN m.speed > 0.7 * :design_speed::float8 AND m.flow > 0
            THEN 100 * (1 - :surge_flow::float8 * :design_flow::float8 * m.speed / (:design_speed::float8 * m.flow)) END AS value
  FROM mean m ORDER BY m.bucket;

-- name: vibration(equipment, shaft, housing)
-- Every probe with its zone of ISO 20816-3 now. "shaft": numerators of A/B, B/C, C/D over the root of the speed, um peak to peak; "housing": A/B, B/C, C/D
-- in mm/s RMS, for the motor's bearings; the gear has a standard of its own (20816-9) and gets no zone here.
WITH now AS MATERIALIZED (
    SELECT l.point_id, l.key, l.value, l.unit, l.ts, l.quality FROM servitize.latest_visible l WHERE l.equipment_id = :equipment::int),
speed AS (SELECT max(now.value) AS n FROM now WHERE now.key = 'train.speed'),
bound AS (
    SELECT now.*, p.description, k.name AS component_name, p.position, k.key AS component,
           CASE WHEN now.unit = 'um' THEN (:shaft::text[])::float8[] WHEN k.key LIKE 'motor.%%' THEN (:housing::text[])::float8[] END AS edges,
           CASE WHEN now.unit = 'um' THEN sqrt(greatest(speed.n, 1)) ELSE 1 END AS root, speed.n AS speed
      FROM now CROSS JOIN speed
      JOIN servitize.point p ON p.id = now.point_id
      LEFT JOIN servitize.component k ON k.id = p.component_id
     WHERE now.key LIKE 'compressor.rotor.%%\_pp' OR now.key LIKE '%%.velocity')
SELECT :equipment::int AS equipment_id, b.component, b.point_id, b.component_name, b.description, nullif(b.value, 'NaN') AS value, b.unit,
       CASE WHEN b.quality & 255 < 64 OR b.value = 'NaN' OR b.edges IS NULL THEN NULL
            -- transients have limits of their own
            WHEN b.speed < 8000 THEN NULL
            WHEN b.value >= b.edges[3] / b.root THEN 'D' WHEN b.value >= b.edges[2] / b.root THEN 'C'
            WHEN b.value >= b.edges[1] / b.root THEN 'B' ELSE 'A' END AS zone,
       b.edges[2] / b.root AS limit_bc, b.edges[3] / b.root AS limit_cd, b.ts
  FROM bound b
 ORDER BY b.value / nullif(b.edges[2] / b.root, 0) DESC NULLS LAST, b.position;
