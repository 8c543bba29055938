-- name: rollouts(id, after, count)
SELECT r.id, r.title, r.key, r.value, r.state, r.cohort, r.reason, r.started_at, r.changed_at, r.started_by,
       extract(epoch FROM r.patience)::float8 AS patience_s, extract(epoch FROM r.watch)::float8 AS watch_s,
       (SELECT jsonb_agg(jsonb_build_object('equipment', e.key, 'cohort', m.cohort, 'version', m.version, 'reached', m.reached_at IS NOT NULL)
                         ORDER BY m.cohort, e.key)
          FROM servitize.rollout_member m JOIN servitize.equipment e ON e.id = m.equipment_id WHERE m.rollout_id = r.id) AS members
  FROM servitize.rollout r
 WHERE (:id::int IS NULL OR r.id = :id) AND (:after::int IS NULL OR r.id > :after)
 ORDER BY r.id LIMIT :count;

-- name: start_rollout(title, key, wanted, cohorts, patience_s, watch_s, who)$
SELECT servitize.start_rollout(:title::text, :key::text, :wanted::jsonb, :cohorts::jsonb, make_interval(secs => :patience_s::float8),
                               make_interval(secs => :watch_s::float8), :who::text);

-- name: steer_rollout(rollout, wish, why, who)$
SELECT servitize.steer_rollout(:rollout::int, :wish::text, :why::text, :who::text);

-- name: inspections(id, equipment, after, count)
SELECT i.id, i.equipment_id, e.key AS equipment_key, e.name AS equipment_name, i.title, i.points,
       extract(epoch FROM i.every)::float8 / 60 AS every_minutes, extract(epoch FROM i.baseline)::float8 / 86400 AS baseline_days, i.tolerance,
       extract(epoch FROM i.max_age)::float8 / 60 AS max_age_minutes, i.capture, i.channels, i.next_at, i.stopped_at, i.made_by
  FROM servitize.inspection_plan i JOIN servitize.equipment e ON e.id = i.equipment_id
 WHERE (:id::int IS NULL OR i.id = :id) AND (:equipment::int IS NULL OR i.equipment_id = :equipment) AND (:after::int IS NULL OR i.id > :after)
 ORDER BY i.id LIMIT :count;

-- name: plan_inspection(equipment, title, points, every_minutes, baseline_days, tolerance, max_age_minutes, capture, channels, who)$
SELECT servitize.plan_inspection(:equipment::int, :title::text, :points::text[], make_interval(secs => 60 * :every_minutes::float8),
                                 make_interval(secs => 86400 * :baseline_days::float8), :tolerance::float8,
                                 make_interval(secs => 60 * :max_age_minutes::float8), :capture::text, :channels::text[], :who::text);

-- name: stop_inspection(plan)^
SELECT servitize.stop_inspection(:plan::int);

-- name: inspection_reports(plan, id, after, count)
-- Newest first, each with the waveforms that answered it.
SELECT r.id, r.plan_id, r.at, r.state, r.findings, r.points, r.command_id,
       ARRAY(SELECT w.id FROM servitize.capture_request c JOIN servitize.waveform w ON w.equipment_id = c.equipment_id AND w.request = c.word
              WHERE c.id = r.capture_id ORDER BY w.ts, w.id) AS waveforms
  FROM servitize.inspection_report r
 WHERE (:plan::int IS NULL OR r.plan_id = :plan) AND (:id::bigint IS NULL OR r.id = :id) AND (:after::bigint IS NULL OR r.id < :after) ORDER BY r.id DESC LIMIT :count;
