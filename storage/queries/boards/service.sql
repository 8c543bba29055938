-- The service business: commands, contracts, serial numbers, energy.

-- name: command_summary()
SELECT count(*) FILTER (WHERE c.state = 'requested') AS waiting,
       count(*) FILTER (WHERE c.state IN ('approved', 'sent', 'delivered', 'executing')) AS under_way,
       count(*) FILTER (WHERE c.state IN ('failed', 'expired') AND c.changed_at > now() - interval '24 hours') AS failed,
       count(*) FILTER (WHERE c.state = 'rejected' AND c.changed_at > now() - interval '24 hours') AS held_back,
       (SELECT count(*) FROM servitize.emergency_inhibit i WHERE i.lifted_at IS NULL) AS inhibits
  FROM servitize.command c;

-- name: commands()
SELECT c.requested_at AS at, e.id AS equipment_id, e.name AS equipment, c.title,
       (SELECT string_agg(p.key || ' ' || p.value, ', ' ORDER BY p.key) FROM jsonb_each_text(c.parameters) p) AS parameters,
       c.state, c.blocked
  FROM servitize.command c JOIN servitize.equipment e ON e.id = c.equipment_id
 ORDER BY c.id DESC LIMIT 200;

-- name: command_journal()
SELECT s.at, e.name AS equipment, c.title, s.event, s.to_state AS state, s.actor, s.note
  FROM servitize.command_step s
  JOIN servitize.command c ON c.id = s.command_id
  JOIN servitize.equipment e ON e.id = s.equipment_id
 ORDER BY s.id DESC LIMIT 300;

-- name: drift()
SELECT e.id AS equipment_id, e.name AS equipment, t.key, t.desired #>> '{}' AS desired, t.reported #>> '{}' AS reported
  FROM servitize.twin_property t JOIN servitize.equipment e ON e.id = t.equipment_id
 WHERE t.desired_version > 0 AND t.desired IS DISTINCT FROM t.reported
 ORDER BY e.name, t.key LIMIT 200;

-- name: contracts()
SELECT c.title, c.currency,
       (SELECT count(*) FROM servitize.contract_machine m WHERE m.contract_id = c.id) AS machines,
       (SELECT max(s.period) FROM servitize.statement s WHERE s.contract_id = c.id AND s.number = 0) AS closed_to,
       (SELECT sum(s.total)::float8 FROM servitize.statement s WHERE s.contract_id = c.id) AS total
  FROM servitize.contract c ORDER BY c.title, c.id;

-- name: statements()
SELECT s.period, c.title, nullif(s.number, 0) AS number, s.total::float8 AS total, s.currency, s.reason
  FROM servitize.statement s JOIN servitize.contract c ON c.id = s.contract_id
 ORDER BY s.id DESC LIMIT 200;

-- name: statement_lines()
SELECT s.period, c.title AS contract, l.equipment, l.title || CASE WHEN l.part IN ('fee', 'used') THEN '' ELSE ' · ' || l.part END AS title,
       l.quantity::float8 AS quantity, l.unit, l.amount::float8 AS amount, l.rule
  FROM servitize.statement_line l
  JOIN servitize.statement s ON s.id = l.statement_id
  JOIN servitize.contract c ON c.id = s.contract_id
 ORDER BY s.id DESC, l.position LIMIT 300;

-- name: items()
SELECT i.id AS value, i.kind || ' ' || i.serial AS text FROM servitize.item i ORDER BY i.equipment_id NULLS LAST, i.kind, i.serial, i.id;

-- name: item(item)
SELECT i.serial, i.designation, coalesce(host.place, CASE WHEN i.equipment_id IS NOT NULL THEN (
           SELECT e.name FROM servitize.equipment e WHERE e.id = i.equipment_id) END, '–') AS place,
       1 + (SELECT count(*) FROM servitize.item_step s WHERE s.item_id = i.id AND s.deed = 'remanufactured') AS lives,
       (SELECT sum(s.cost)::float8 FROM servitize.item_step s WHERE s.item_id = i.id) AS cost
  FROM servitize.item i
  LEFT JOIN LATERAL (
       SELECT CASE WHEN s.deed = 'installed' THEN coalesce(e.name, h.kind || ' ' || h.serial) || ' · ' || s.position END AS place
         FROM servitize.item_step s
         JOIN servitize.item h ON h.id = s.host_id
         LEFT JOIN servitize.equipment e ON e.id = h.equipment_id
        WHERE s.item_id = i.id AND s.deed IN ('installed', 'removed') ORDER BY s.at DESC, s.id DESC LIMIT 1) host ON true
 WHERE i.id = :item::int;

-- name: item_history(item)
SELECT s.at, s.deed, coalesce(e.name, h.kind || ' ' || h.serial) AS host, s.position, nullif(s.cost, 0)::float8 AS cost, s.note
  FROM servitize.item_step s
  LEFT JOIN servitize.item h ON h.id = s.host_id
  LEFT JOIN servitize.equipment e ON e.id = h.equipment_id
 WHERE s.item_id = :item::int ORDER BY s.at DESC, s.id DESC LIMIT 300;

-- name: item_parts(item)
SELECT l.position, i.kind, i.serial, l.at AS since
  FROM (SELECT DISTINCT ON (s.item_id) s.item_id, s.deed, s.host_id, s.position, s.at
          FROM servitize.item_step s WHERE s.deed IN ('installed', 'removed') ORDER BY s.item_id, s.at DESC, s.id DESC) l
  JOIN servitize.item i ON i.id = l.item_id
 WHERE l.deed = 'installed' AND l.host_id = :item::int
 ORDER BY l.position, i.serial;

-- name: energy_by_machine(from_us, to_us)
-- Power: hourly means times hours. Fuel: what its counter rose by.
WITH hour AS (
    SELECT e.id, e.name, p.key, p.unit, h.mean, h.min, h.max
      FROM servitize.equipment e
      JOIN servitize.point p ON p.equipment_id = e.id AND p.kind = 'measured' AND (p.unit = 'kW' OR (p.unit = 'L' AND p.key LIKE '%%fuel_used'))
      JOIN servitize.rollup_hour_visible h ON h.point_id = p.id
       AND h.bucket >= servitize.from_us(:from_us::bigint) AND h.bucket < servitize.from_us(:to_us::bigint))
SELECT hour.id AS equipment_id, hour.name AS equipment, hour.key AS what,
       CASE hour.unit WHEN 'kW' THEN sum(hour.mean) ELSE max(hour.max) - min(hour.min) END AS energy,
       CASE hour.unit WHEN 'kW' THEN 'kW.h' ELSE hour.unit END AS unit,
       count(*)::float8 AS hours,
       CASE hour.unit WHEN 'kW' THEN avg(hour.mean) ELSE (max(hour.max) - min(hour.min)) / count(*) END AS per_hour
  FROM hour GROUP BY hour.id, hour.name, hour.key, hour.unit
 ORDER BY energy DESC NULLS LAST, hour.name LIMIT 200;

-- name: power(from_us, to_us)
SELECT h.bucket AS time, e.name AS metric, h.mean AS value
  FROM servitize.equipment e
  JOIN servitize.point p ON p.equipment_id = e.id AND p.kind = 'measured' AND p.unit = 'kW'
  JOIN servitize.rollup_hour_visible h ON h.point_id = p.id
   AND h.bucket >= servitize.from_us(:from_us::bigint) AND h.bucket < servitize.from_us(:to_us::bigint)
 ORDER BY h.bucket, e.name LIMIT 5000;

-- name: factors()
SELECT f.carrier, f.effective::text AS effective, f.kg_per_unit::float8 AS kg_per_unit, f.unit, f.source
  FROM servitize.emission_factor f ORDER BY f.carrier, f.effective DESC LIMIT 200;
