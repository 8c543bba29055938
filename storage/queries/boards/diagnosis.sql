-- Remote diagnosis: cases and what is seen in their frozen evidence. Curves lie in the case as they were when it was looked at.

-- name: machines()
-- What a reader may choose: those with an open case first, then the worst.
SELECT e.id AS value, e.name AS text
  FROM servitize.equipment e
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
 WHERE e.status = 'approved'
 ORDER BY NOT EXISTS (SELECT FROM servitize.diagnosis_case c WHERE c.equipment_id = e.id AND c.state <> 'closed'), h.index NULLS LAST, e.name, e.id;

-- name: cases(equipment)
-- What a reader may choose, newest first: open ones before the others.
SELECT c.id AS value, '#' || c.id || ' ' || e.key || ' · ' || coalesce(k.name, c.component) AS text
  FROM servitize.diagnosis_case c
  JOIN servitize.equipment e ON e.id = c.equipment_id
  LEFT JOIN servitize.component k ON k.equipment_id = c.equipment_id AND k.key = c.component
 WHERE :equipment::int IS NULL OR c.equipment_id = :equipment::int
 ORDER BY c.state = 'closed', c.id DESC
 LIMIT 200;

-- name: case_list()
SELECT c.id AS case, c.equipment_id AS equipment, e.name AS machine, coalesce(k.name, c.component) AS component, c.state,
       coalesce(c.diagnosis->'findings'->0->>'title', c.diagnosis->>'reason', '') AS said,
       100 * (c.diagnosis->'findings'->0->>'confidence')::float8 AS confidence, coalesce(c.conclusion->>'mode', '') AS concluded,
       coalesce(c.outcome, 'not_inspected') AS outcome, c.about
  FROM servitize.diagnosis_case c
  JOIN servitize.equipment e ON e.id = c.equipment_id
  LEFT JOIN servitize.component k ON k.equipment_id = c.equipment_id AND k.key = c.component
 ORDER BY c.state = 'closed', c.id DESC
 LIMIT 200;

-- name: findings(case)
-- Ranked, each with its first lines of evidence.
SELECT f.n AS rank, f.finding->>'title' AS title, 100 * (f.finding->>'confidence')::float8 AS confidence,
       CASE WHEN (f.finding->>'decided')::boolean THEN 'yes' ELSE 'no' END AS decided,
       (SELECT string_agg(x.line->>'sentence', '; ' ORDER BY x.n)
          FROM jsonb_array_elements(f.finding->'evidence') WITH ORDINALITY AS x (line, n) WHERE x.n <= 3) AS evidence,
       f.finding->>'action' AS action
  FROM servitize.diagnosis_case c
 CROSS JOIN LATERAL jsonb_array_elements(c.diagnosis->'findings') WITH ORDINALITY AS f (finding, n)
 WHERE c.id = :case::bigint
 ORDER BY f.n;

-- name: curve(case, kind)
-- The first channel's curve of a kind, and a point on it wherever a line is expected.
WITH picture AS MATERIALIZED (
    SELECT p.value AS curve
      FROM servitize.diagnosis_case c CROSS JOIN LATERAL jsonb_each(c.evidence->'curves') p
     WHERE c.id = :case::bigint AND p.value->>'kind' = :kind::text ORDER BY p.key LIMIT 1),
line AS MATERIALIZED (
    SELECT t.n AS trace, t.trace->>'name' AS name, v.n AS place, v.x::float8 AS x, v.y::float8 AS y
      FROM picture CROSS JOIN LATERAL jsonb_array_elements(picture.curve->'traces') WITH ORDINALITY AS t (trace, n)
     CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements_text(t.trace->'x'), jsonb_array_elements_text(t.trace->'y'))
           WITH ORDINALITY AS v (x, y, n)),
mark AS (
    SELECT m.mark->>'family' AS family, (m.mark->>'x')::float8 AS x
      FROM picture CROSS JOIN LATERAL jsonb_array_elements(picture.curve->'marks') AS m (mark))
SELECT f.series, f.x, f.y
  FROM (SELECT 1 AS part, l.trace, l.place, CASE WHEN l.trace = 1 THEN 'measured' ELSE 'key_phasor' END AS series, l.x, l.y FROM line l
        UNION ALL
        SELECT 2, 1, row_number() OVER (ORDER BY m.family, m.x), m.family, m.x,
               (SELECT max(l.y) FROM line l WHERE l.x BETWEEN m.x * 0.985 - 1 AND m.x * 1.015 + 1)
          FROM mark m WHERE m.x <= (SELECT max(l.x) FROM line l)) f
 ORDER BY f.part, f.trace, f.place;

-- name: waterfall(case)
-- Spectra over time as curves above each other; the newest stands highest.
WITH picture AS MATERIALIZED (
    SELECT p.value AS curve
      FROM servitize.diagnosis_case c CROSS JOIN LATERAL jsonb_each(c.evidence->'curves') p
     WHERE c.id = :case::bigint AND p.value->>'kind' = 'waterfall' ORDER BY p.key LIMIT 1),
line AS MATERIALIZED (
    SELECT t.n AS trace, (t.trace->>'at')::bigint AS at, v.n AS place, v.x::float8 AS x, v.y::float8 AS y
      FROM picture CROSS JOIN LATERAL jsonb_array_elements(picture.curve->'traces') WITH ORDINALITY AS t (trace, n)
     CROSS JOIN LATERAL ROWS FROM (jsonb_array_elements_text(t.trace->'x'), jsonb_array_elements_text(t.trace->'y'))
           WITH ORDINALITY AS v (x, y, n))
SELECT to_char(servitize.from_us(l.at) AT TIME ZONE 'UTC', 'MM-DD HH24:MI') AS series, l.x,
       l.y + (l.trace - 1) * (SELECT max(m.y) / 3 FROM line m) AS y
  FROM line l
 ORDER BY l.trace, l.place;

-- name: bode(equipment, speed, point, from_us, to_us)
-- A point over speed during the newest run-up or coast-down in the range; both are the state "ramp".
WITH start AS MATERIALIZED (
    SELECT s.at, coalesce((SELECT min(n.at) FROM servitize.state_change n WHERE n.equipment_id = s.equipment_id AND n.at > s.at),
                          servitize.timeline_now()) AS until
      FROM servitize.state_change s
     WHERE s.equipment_id = :equipment::int AND s.state = 'ramp' AND s.at < servitize.from_us(:to_us::bigint)
       AND s.at >= servitize.from_us(:from_us::bigint) ORDER BY s.at DESC LIMIT 1),
point AS MATERIALIZED (
    SELECT p.id, p.key FROM servitize.point p WHERE p.equipment_id = :equipment::int AND p.key IN (:speed::text, :point::text))
SELECT 'measured' AS series, s.value AS x, a.value AS y
  FROM start
 CROSS JOIN LATERAL (
       SELECT r.ts, r.value FROM point p, servitize.readings(p.id, start.at, start.until, 2000) r WHERE p.key = :speed::text) s
  JOIN LATERAL (
       SELECT r.ts, r.value FROM point p, servitize.readings(p.id, start.at, start.until, 2000) r WHERE p.key = :point::text) a ON a.ts = s.ts
 ORDER BY s.value;
