-- name: items(id, kind, serial, identifier, equipment, after, count)
SELECT i.id, i.kind, i.serial, i.identifier, i.manufacturer, i.designation, i.attributes, i.registered_at, i.tenant_id,
       i.equipment_id, e.key AS equipment, e.type_key AS type, e.name AS equipment_name, e.commissioned_at
  FROM servitize.item i LEFT JOIN servitize.equipment e ON e.id = i.equipment_id
 WHERE (:id::int IS NULL OR i.id = :id)
   AND (:kind::text IS NULL OR i.kind = :kind)
   AND (:serial::text IS NULL OR i.serial = :serial)
   AND (:identifier::text IS NULL OR i.identifier = :identifier)
   AND (:equipment::int IS NULL OR i.equipment_id = :equipment)
   AND (:after::int IS NULL OR i.id > :after)
 ORDER BY i.id
 LIMIT :count;

-- name: register_item(machine, kind, serial, identifier, manufacturer, designation, attributes, who)$
SELECT servitize.register_item(:machine::int, :kind::text, :serial::text, :identifier::text, :manufacturer::text, :designation::text,
                               :attributes::jsonb, :who::text);

-- name: all_item_steps()
-- In the order in which they were recorded, which is that of time for each item.
SELECT s.id, s.item_id, servitize.to_us(s.at) AS ts, s.deed, s.host_id, s.position, s.failed, s.grade, s.cost, s.currency, s.note, s.measured,
       s.recorded_at, s.recorded_by
  FROM servitize.item_step s ORDER BY s.at, s.id;

-- name: all_items()
SELECT i.id, i.equipment_id, i.kind, i.serial FROM servitize.item i;

-- name: last_item_step()$
SELECT coalesce(max(s.id), 0) FROM servitize.item_step s JOIN servitize.item i ON i.id = s.item_id
 WHERE i.tenant_id = (SELECT servitize.current_tenant());

-- name: take_item_step(item, seen, at, deed, host, position, failed, grade, cost, currency, note, measured, who)$
SELECT servitize.take_item_step(:item::int, :seen::bigint, :at::timestamptz, :deed::text, :host::int, :position::text, :failed::boolean,
                                :grade::text, :cost::numeric, :currency::text, :note::text, :measured::jsonb, :who::text);

-- name: item_kind(kind)$
SELECT k.document FROM servitize.item_kind k WHERE k.kind = :kind;

-- name: put_item_kind(kind, document)^
SELECT servitize.put_item_kind(:kind::text, :document::jsonb);

-- name: states_of(equipment)
-- Every change of state there is; state and moment only.
SELECT servitize.to_us(s.at) AS ts, s.state FROM servitize.state_change s WHERE s.equipment_id = :equipment ORDER BY s.at;

-- name: type_of(equipment)^
SELECT e.key, e.name, t.key AS type, t.name AS type_name, t.document FROM servitize.equipment e LEFT JOIN servitize.equipment_type t ON t.key = e.type_key
 WHERE e.id = :equipment;

-- name: latest_health_before(equipment, component, at)$
SELECT h.index FROM servitize.health_history h
 WHERE h.equipment_id = :equipment AND h.component = :component AND h.at <= :at ORDER BY h.at DESC LIMIT 1;

-- name: machines_of_type(type)
SELECT e.id, e.key, e.name FROM servitize.equipment e WHERE e.type_key = :type AND e.status = 'approved' ORDER BY e.key;

-- name: alarms_by_mode(type, low, high)
-- What conditions of the machine cost in occurrences, by failure mode or component.
SELECT coalesce(c.failure_mode, c.component) AS key, count(*) AS times
  FROM servitize.condition_transition c JOIN servitize.equipment e ON e.id = c.equipment_id
 WHERE e.type_key = :type AND c.change = 'raised' AND c.concern = 'machine' AND c.first_out IS NULL AND NOT c.late
   AND c.at >= :low::timestamptz AND c.at < :high::timestamptz
 GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: hourly_pairs(type, duty, metric, low, high)
-- Per machine and hour: mean of the duty's point and of the figure's.
SELECT e.key AS machine, array_agg(d.mean ORDER BY d.bucket) AS duty, array_agg(v.mean ORDER BY d.bucket) AS value
  FROM servitize.equipment e
  JOIN servitize.point pd ON pd.equipment_id = e.id AND pd.key = :duty
  JOIN servitize.point pv ON pv.equipment_id = e.id AND pv.key = :metric
  JOIN servitize.rollup_hour_visible d ON d.point_id = pd.id AND d.bucket >= :low::timestamptz AND d.bucket < :high::timestamptz
  JOIN servitize.rollup_hour_visible v ON v.point_id = pv.id AND v.bucket = d.bucket
 WHERE e.type_key = :type
 GROUP BY e.key ORDER BY e.key;
