-- name: version()$
SELECT version FROM servitize.registry_version;

-- name: tenants()
SELECT id, slug, name, unknown_equipment, publisher_clock, past_window_us, future_bound_us FROM servitize.tenant ORDER BY id;

-- name: profiles()
SELECT tenant_id, name, document FROM servitize.mapping_profile ORDER BY tenant_id, name;

-- name: types()
-- Revisions alone; documents are fetched where the revision is new.
SELECT key, revision FROM servitize.equipment_type ORDER BY key;

-- name: type_document(key)^
SELECT revision, document FROM servitize.equipment_type WHERE key = :key;

-- name: equipment_since(version)
SELECT e.id, e.tenant_id, e.key, coalesce(e.type_key, ''), e.status
  FROM servitize.equipment_version v JOIN servitize.equipment e ON e.id = v.equipment_id
 WHERE v.version > :version;

-- name: points_since(version)
SELECT p.equipment_id, p.id, p.key, p.unit, p.kind
  FROM servitize.equipment_version v JOIN servitize.point p ON p.equipment_id = v.equipment_id
 WHERE v.version > :version
 ORDER BY p.equipment_id, p.position, p.id;

-- name: register_unknown(tenant_id, key, type_key, status)$
INSERT INTO servitize.equipment (tenant_id, key, name, type_key, status)
VALUES (:tenant_id, :key, :key, (SELECT t.key FROM servitize.equipment_type t WHERE t.key = :type_key), :status)
ON CONFLICT (tenant_id, key) DO NOTHING
RETURNING id;

-- name: register_points(equipment_id, keys)!
INSERT INTO servitize.point (equipment_id, key, position)
SELECT :equipment_id, k.key, 1000 + k.n FROM unnest(:keys::text[]) WITH ORDINALITY AS k (key, n)
 WHERE NOT EXISTS (SELECT FROM servitize.point p WHERE p.equipment_id = :equipment_id AND p.key = k.key)
ON CONFLICT (equipment_id, key) DO NOTHING;

-- name: sync_components(type_key, equipment_id, keys, names, criticalities, classes)!
-- Components of one equipment of the type, or of all of them where equipment_id is NULL.
INSERT INTO servitize.component AS k (equipment_id, key, name, criticality, item_class, position)
SELECT e.id, c.key, c.name, c.criticality, c.item_class, c.n
  FROM servitize.equipment e
 CROSS JOIN unnest(:keys::text[], :names::text[], :criticalities::float8[], :classes::text[])
            WITH ORDINALITY AS c (key, name, criticality, item_class, n)
 WHERE e.type_key = :type_key AND (:equipment_id::int IS NULL OR e.id = :equipment_id::int)
 ORDER BY e.id, c.n
ON CONFLICT (equipment_id, key) DO UPDATE
   SET name = excluded.name, criticality = excluded.criticality, item_class = excluded.item_class, position = excluded.position
 WHERE (k.name, k.criticality, k.item_class, k.position)
       IS DISTINCT FROM (excluded.name, excluded.criticality, excluded.item_class, excluded.position);

-- name: sync_points(type_key, equipment_id, keys, components, units, kinds, descriptions, lows, highs)!
INSERT INTO servitize.point AS p (equipment_id, component_id, key, unit, kind, description, range_low, range_high, position)
SELECT e.id, c.id, d.key, d.unit, d.kind, d.description, d.low, d.high, d.n
  FROM servitize.equipment e
 CROSS JOIN unnest(:keys::text[], :components::text[], :units::text[], :kinds::text[], :descriptions::text[],
                   :lows::float8[], :highs::float8[])
            WITH ORDINALITY AS d (key, component, unit, kind, description, low, high, n)
  LEFT JOIN servitize.component c ON c.equipment_id = e.id AND c.key = d.component
 WHERE e.type_key = :type_key AND (:equipment_id::int IS NULL OR e.id = :equipment_id::int)
 ORDER BY e.id, d.n
ON CONFLICT (equipment_id, key) DO UPDATE
   SET component_id = excluded.component_id, unit = excluded.unit, kind = excluded.kind, description = excluded.description,
       range_low = excluded.range_low, range_high = excluded.range_high, position = excluded.position
 WHERE (p.component_id, p.unit, p.kind, p.description, p.range_low, p.range_high, p.position)
       IS DISTINCT FROM (excluded.component_id, excluded.unit, excluded.kind, excluded.description, excluded.range_low,
                         excluded.range_high, excluded.position);

-- name: unit_changes(type_key, keys, units)
-- Points with readings whose unit the new document would change; "1" is a unit nobody has given yet.
SELECT DISTINCT p.key, p.unit, d.unit
  FROM servitize.equipment e
  JOIN servitize.point p ON p.equipment_id = e.id
  JOIN unnest(:keys::text[], :units::text[]) AS d (key, unit) ON d.key = p.key
 WHERE e.type_key = :type_key AND p.unit <> d.unit AND p.unit <> '1'
   AND EXISTS (SELECT FROM servitize.latest_reading l WHERE l.point_id = p.id)
 ORDER BY p.key;
