-- What learned models say of machines, as a tenant asks; and what turned out to be true.

-- name: remaining_life_of(equipment)
-- The champions' last word, the shortest life first.
SELECT r.component, c.name, r.model, r.version, r.at, r.p10, r.p50, r.p90, r.unit, r.horizon, r.date_p10, r.date_p50, r.date_p90
  FROM servitize.remaining_life r
  LEFT JOIN servitize.component c ON c.equipment_id = r.equipment_id AND c.key = r.component
 WHERE r.equipment_id = :equipment
 ORDER BY r.p50, r.component, r.model;

-- name: prognoses_of(equipment, component, model, champions, time_from, time_to, after_at, after_key, count)
-- Newest first.
SELECT p.component, p.model, p.version, p.champion, p.at, p.p10, p.p50, p.p90, p.unit, p.horizon, p.date_p10, p.date_p50, p.date_p90,
       p.model || '@' || p.version || '/' || p.component AS place
  FROM servitize.prognosis p
 WHERE p.equipment_id = :equipment
   AND (:component::text IS NULL OR p.component = :component)
   AND (:model::text IS NULL OR p.model = :model)
   AND (:champions::boolean IS NULL OR p.champion = :champions)
   AND (:time_from::timestamptz IS NULL OR p.at >= :time_from)
   AND (:time_to::timestamptz IS NULL OR p.at < :time_to)
   AND (:after_at::timestamptz IS NULL
        OR (p.at, p.model || '@' || p.version || '/' || p.component) < (:after_at, :after_key::text))
 ORDER BY p.at DESC, p.model || '@' || p.version || '/' || p.component DESC
 LIMIT :count;

-- name: drifts_of(equipment)
-- Of each model the last window, worst first.
SELECT DISTINCT ON (d.model, d.version) d.model, d.version, d.champion, d.since, d.at, d.index, d.drifted, d.points
  FROM servitize.model_drift d WHERE d.equipment_id = :equipment
 ORDER BY d.model, d.version, d.at DESC;

-- name: outcomes_of(equipment, id, after_at, after_id, count)
-- Newest first.
SELECT o.id, o.equipment_id, e.key AS equipment_key, e.name AS equipment_name, o.component, o.failure_mode, o.at, o.verdict, o.found,
       o.source, o.reference, o.recorded_at, o.recorded_by, o.withdrawn_at
  FROM servitize.confirmed_outcome o JOIN servitize.equipment e ON e.id = o.equipment_id
 WHERE (:equipment::int IS NULL OR o.equipment_id = :equipment)
   AND (:id::bigint IS NULL OR o.id = :id)
   AND (:after_at::timestamptz IS NULL OR (o.at, o.id) < (:after_at, :after_id::bigint))
 ORDER BY o.at DESC, o.id DESC
 LIMIT :count;

-- name: record_outcome(equipment, component, mode, at, verdict, found, source, reference, who)^
SELECT r.id, r.fresh FROM servitize.record_outcome(
       :equipment::int, :component::text, :mode::text, :at::timestamptz, :verdict::text, :found::text, :source::text, :reference::text,
       :who::text) r;

-- name: withdraw_outcome(outcome, who)$
SELECT servitize.withdraw_outcome(:outcome::bigint, :who::text);
