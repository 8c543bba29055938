-- name: sites(after, count)
SELECT s.key, s.name, s.timezone,
       (SELECT count(*) FROM servitize.equipment e WHERE e.site_id = s.id AND e.status <> 'retired') AS equipment
  FROM servitize.site s
 WHERE s.key > coalesce(:after::text, '')
 ORDER BY s.key
 LIMIT :count;

-- name: types(after, count)
SELECT t.key, t.name, t.version, t.revision
  FROM servitize.equipment_type t
 WHERE t.key > coalesce(:after::text, '')
 ORDER BY t.key
 LIMIT :count;

-- name: type(key)^
SELECT t.key, t.name, t.version, t.revision, t.document FROM servitize.equipment_type t WHERE t.key = :key;

-- name: equipment_id(number, key)$
-- A key is looked for among the tenant's own first, then among what was granted to it.
SELECT e.id
  FROM servitize.equipment e
 WHERE e.id = :number::int OR e.key = :key::text
 ORDER BY (e.tenant_id = (SELECT servitize.current_tenant())) DESC, e.id
 LIMIT 1;

-- name: equipment(id, site, type, status, state, health_below, after_key, after_id, count)
-- One equipment (id), or a page in order of key. Standing alarms are counted without consequences of a first-out.
SELECT e.id, e.key, e.name, e.serial, e.type_key AS type, e.status, e.commissioned_at, e.registered_at, e.attributes, e.tenant_id,
       s.key AS site, owner.slug AS tenant, m.rights, c.state, c.at AS state_since, h.index AS health, l.ts AS last_reading_at,
       coalesce(a.urgent, 0) AS urgent, coalesce(a.high, 0) AS high, coalesce(a.medium, 0) AS medium, coalesce(a.low, 0) AS low
  FROM servitize.equipment e
  JOIN servitize.my_equipment m ON m.equipment_id = e.id
  LEFT JOIN servitize.equipment_owner owner ON owner.equipment_id = e.id
  LEFT JOIN servitize.site s ON s.id = e.site_id
  LEFT JOIN servitize.health h ON h.equipment_id = e.id AND h.component = ''
  LEFT JOIN LATERAL (SELECT x.state, x.at FROM servitize.state_change x WHERE x.equipment_id = e.id ORDER BY x.at DESC LIMIT 1) c ON true
  LEFT JOIN LATERAL (
      SELECT count(*) FILTER (WHERE x.priority = 'urgent') AS urgent, count(*) FILTER (WHERE x.priority = 'high') AS high,
             count(*) FILTER (WHERE x.priority = 'medium') AS medium, count(*) FILTER (WHERE x.priority = 'low') AS low
        FROM servitize.alarm x
       WHERE x.equipment_id = e.id AND x.first_out IS NULL
         AND x.state NOT IN ('normal', 'shelved', 'suppressed_by_design', 'out_of_service')) a ON true
  LEFT JOIN LATERAL (SELECT max(x.ts) AS ts FROM servitize.latest_visible x WHERE x.equipment_id = e.id) l ON true
 WHERE (:id::int IS NULL OR e.id = :id)
   AND (:site::text IS NULL OR s.key = :site)
   AND (:type::text IS NULL OR e.type_key = :type)
   AND (:status::text IS NULL OR e.status = :status)
   AND (:state::text IS NULL OR c.state = :state)
   AND (:health_below::float8 IS NULL OR h.index < :health_below)
   AND (:after_key::text IS NULL OR (e.key, e.id) > (:after_key, :after_id::int))
 ORDER BY e.key, e.id
 LIMIT :count;

-- name: components(equipment)
SELECT c.id, c.key, c.name, c.criticality, h.index AS health
  FROM servitize.component c
  LEFT JOIN servitize.health h ON h.equipment_id = c.equipment_id AND h.component = c.key
 WHERE c.equipment_id = :equipment
 ORDER BY c.position, c.key;

-- name: points_of(equipment)
SELECT p.id, p.component_id, p.key, p.unit, p.kind, p.description
  FROM servitize.point p
 WHERE p.equipment_id = :equipment
 ORDER BY p.position, p.key;

-- name: equipment_ref(id)^
SELECT e.id, e.key, e.name FROM servitize.equipment e WHERE e.id = :id;

-- name: register_equipment(key, name, serial, type, site)$
SELECT servitize.register_equipment(:key::text, :name::text, :serial::text, :type::text, :site::text);

-- name: change_equipment(id, name, serial, site, type, status)$
SELECT servitize.change_equipment(:id::int, :name::text, :serial::text, :site::text, :type::text, :status::text);

-- name: fit_equipment(id, components, points)^
SELECT servitize.fit_equipment(:id::int, :components::jsonb, :points::jsonb);

-- name: devices(id, after, count)
-- One device (id), or a page.
-- What is missing and what was refused is that of the device's equipment; a gateway's stands with each equipment that it speaks for.
SELECT d.id, d.client_id, d.username, e.key AS equipment, d.edge_node, d.created_at, d.rotated_at, d.revoked_at,
       o.device_id IS NOT NULL AND o.done_at IS NULL AS pending, o.problem AS note,
       t.missing_messages, t.refused_readings, l.last_received_at
  FROM servitize.device d
  LEFT JOIN servitize.equipment e ON e.id = d.equipment_id
  LEFT JOIN servitize.device_order o ON o.device_id = d.id
  LEFT JOIN LATERAL (
       SELECT coalesce(sum(x.amount) FILTER (WHERE x.what = 'sequence_gap'), 0)::bigint AS missing_messages,
              coalesce(sum(x.amount) FILTER (WHERE x.what <> 'sequence_gap'), 0)::bigint AS refused_readings
         FROM servitize.intake_tally x WHERE x.equipment_id = d.equipment_id) t ON d.equipment_id IS NOT NULL
  LEFT JOIN LATERAL (
       SELECT max(x.received_at) AS last_received_at FROM servitize.latest_visible x
        WHERE x.equipment_id = d.equipment_id AND x.kind = 'measured') l ON d.equipment_id IS NOT NULL
 WHERE (:id::int IS NULL OR d.id = :id) AND (:after::int IS NULL OR d.id > :after)
 ORDER BY d.id
 LIMIT :count;

-- name: register_device(equipment, gateway, edge_node, nonce, hash)$
SELECT servitize.register_device(:equipment::int, :gateway::text, :edge_node::text, :nonce::bytea, :hash::bytea);

-- name: hold_device(id)^
SELECT servitize.hold_device(:id::int);

-- name: hold_grant(id)^
SELECT servitize.hold_grant(:id::int);

-- name: renew_device(id, nonce, hash)^
SELECT servitize.renew_device(:id::int, :nonce::bytea, :hash::bytea);

-- name: shut_device_out(id)^
SELECT servitize.shut_device_out(:id::int);

-- name: grants(id, equipment, given, after, count)
SELECT g.id, g.equipment_id, g.equipment, g.owner, g.tenant, g.rights, g.valid_from, g.valid_until, g.given
  FROM servitize.grant_visible g
 WHERE (:id::int IS NULL OR g.id = :id)
   AND (:equipment::int IS NULL OR g.equipment_id = :equipment)
   AND (:given::boolean IS NULL OR g.given = :given)
   AND (:after::int IS NULL OR g.id > :after)
 ORDER BY g.id
 LIMIT :count;

-- name: give_grant(equipment, holder, rights, until)$
SELECT servitize.give_grant(:equipment::int, :holder::text, :rights::text, :until::timestamptz);

-- name: end_grant(id)^
SELECT servitize.end_grant(:id::int);
