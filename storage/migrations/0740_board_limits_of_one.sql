-- A limit may name one point (car1.air_supply.reservoir_pressure) where the type has many (car{car}.air_supply.reservoir_pressure).
CREATE OR REPLACE FUNCTION servitize.limits_of(equipment int)
    RETURNS TABLE (point_id int, key text, low float8, high float8, priority text, concern text, speaks boolean)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH present AS MATERIALIZED (
        SELECT t.document,
               (SELECT c.state FROM servitize.state_change c WHERE c.equipment_id = e.id ORDER BY c.at DESC LIMIT 1) AS state
          FROM servitize.equipment e JOIN servitize.equipment_type t ON t.key = e.type_key
         WHERE e.id = equipment),
    template AS MATERIALIZED (
        SELECT d.x->>'key' AS point, d.x->'repeat' AS repeat
          FROM present, jsonb_array_elements(
                   coalesce(present.document->'points', '[]') || coalesce(present.document->'derived', '[]')) AS d (x)),
    stated AS MATERIALIZED (
        SELECT l.x->>'key' AS key, l.x->>'point' AS point, t.repeat, l.x->>'priority' AS priority,
               coalesce(l.x->>'concern', 'machine') AS concern,
               CASE jsonb_typeof(l.x->'low') WHEN 'number' THEN (l.x->>'low')::float8
                    WHEN 'object' THEN (l.x->'low'->>present.state)::float8 END AS low,
               CASE jsonb_typeof(l.x->'high') WHEN 'number' THEN (l.x->>'high')::float8
                    WHEN 'object' THEN (l.x->'high'->>present.state)::float8 END AS high,
               coalesce(l.x->'states' ? present.state, NOT l.x ? 'states' OR l.x->'states' = 'null') AS speaks
          FROM present, jsonb_array_elements(coalesce(present.document->'limits', '[]')) AS l (x)
          LEFT JOIN template t ON t.point = l.x->>'point')
    SELECT p.id, s.key, s.low, s.high, s.priority, s.concern, s.speaks
      FROM stated s
     CROSS JOIN LATERAL servitize.instance_keys(s.point, s.repeat) AS k (key)
      JOIN servitize.point p ON p.equipment_id = equipment AND p.key = k.key
     WHERE s.low IS NOT NULL OR s.high IS NOT NULL
$$;
