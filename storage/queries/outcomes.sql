-- Labels, by the platform's own doors.

-- name: record(equipment, component, mode, at, verdict, found, source, reference, who)^
SELECT r.id, r.fresh FROM servitize.store_outcome(
       :equipment::int, :component::text, :mode::text, :at::timestamptz, :verdict::text, :found::text, :source::text, :reference::text,
       :who::text) r;

-- name: listed(equipment)
SELECT o.id, t.slug, e.key, o.component, o.failure_mode, o.at, o.verdict, o.found, o.source, o.reference, o.recorded_by, o.withdrawn_at
  FROM servitize.confirmed_outcome o JOIN servitize.equipment e ON e.id = o.equipment_id JOIN servitize.tenant t ON t.id = e.tenant_id
 WHERE :equipment::int IS NULL OR o.equipment_id = :equipment
 ORDER BY o.at DESC, o.id DESC;

-- name: withdraw(number, who)$
UPDATE servitize.confirmed_outcome o SET withdrawn_at = coalesce(o.withdrawn_at, now()), withdrawn_by = coalesce(o.withdrawn_by, :who)
 WHERE o.id = :number RETURNING o.id;

-- name: called(key, tenant)
SELECT e.id, t.slug FROM servitize.equipment e JOIN servitize.tenant t ON t.id = e.tenant_id
 WHERE e.key = :key AND (:tenant::text IS NULL OR t.slug = :tenant::text) ORDER BY t.slug;
