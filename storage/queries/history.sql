-- History as a backtest reads it, by a login of the platform: everything in order of time, nothing written.

-- name: copy_history(points, time_from, time_to)
COPY (SELECT point_id, ts, value, quality, received_at FROM servitize.reading
       WHERE point_id = ANY (:points::int[]) AND ts >= servitize.from_us(:time_from::bigint) AND ts < servitize.from_us(:time_to::bigint))
  TO STDOUT (FORMAT BINARY);

-- name: span(points)^
-- First and last reading of the points, NULL where there are none.
SELECT servitize.to_us(min(b.first)) AS first, servitize.to_us(max(b.last)) AS last
  FROM unnest(:points::int[]) AS p (id)
 CROSS JOIN LATERAL (SELECT (SELECT r.ts FROM servitize.reading r WHERE r.point_id = p.id ORDER BY r.ts LIMIT 1) AS first,
                            (SELECT r.ts FROM servitize.reading r WHERE r.point_id = p.id ORDER BY r.ts DESC LIMIT 1) AS last) b;

-- name: raised_live(equipment, time_from, time_to)
-- What the live run raised in that time, of readings that were not late; connections and silence are nobody's reading.
SELECT equipment_id, condition, servitize.to_us(at) AS at, announce FROM servitize.condition_transition
 WHERE equipment_id = ANY (:equipment::int[]) AND at >= servitize.from_us(:time_from::bigint) AND at < servitize.from_us(:time_to::bigint)
   AND change = 'raised' AND NOT late AND concern <> 'connection' AND condition NOT LIKE '%%/stale'
 ORDER BY at, equipment_id, condition;

-- name: failures(tenant)
-- Events of the kind failure; of all tenants where tenant is NULL.
SELECT e.key, servitize.to_us(v.ts) AS at, v.body
  FROM servitize.event v JOIN servitize.equipment e ON e.id = v.equipment_id JOIN servitize.tenant t ON t.id = e.tenant_id
 WHERE v.kind = 'failure' AND (:tenant::text IS NULL OR t.slug = :tenant::text)
 ORDER BY v.ts, e.key;
