-- name: endpoints(id, after, count)
SELECT e.id, e.name, e.kind, e.address, e.enabled, e.disabled_reason, e.former_until, e.revision, e.created_at
  FROM servitize.notification_endpoint e
 WHERE e.removed_at IS NULL AND (:id::int IS NULL OR e.id = :id) AND (:after::int IS NULL OR e.id > :after)
 ORDER BY e.id LIMIT :count;

-- name: hold_endpoint(id)$
SELECT e.revision FROM servitize.notification_endpoint e WHERE e.id = :id AND e.removed_at IS NULL FOR UPDATE;

-- name: add_endpoint(name, kind, address)$
INSERT INTO servitize.notification_endpoint (name, kind, address) VALUES (:name, :kind, :address) RETURNING id;

-- name: set_secret(id, secret, former_hours)!
-- The one of before signs beside it for a while, so that the receiver can change over without a gap.
UPDATE servitize.notification_endpoint e
   SET former_secret = CASE WHEN e.secret IS NOT NULL AND :former_hours::int > 0 THEN e.secret END,
       former_until = CASE WHEN e.secret IS NOT NULL AND :former_hours > 0 THEN now() + :former_hours * interval '1 hour' END,
       secret = :secret, revision = e.revision + 1
 WHERE e.id = :id;

-- name: change_endpoint(id, name, address, enabled)!
UPDATE servitize.notification_endpoint e
   SET name = :name, address = :address, enabled = :enabled, disabled_reason = CASE WHEN :enabled::boolean THEN NULL ELSE e.disabled_reason END,
       revision = e.revision + 1
 WHERE e.id = :id;

-- name: remove_endpoint(id)!
UPDATE servitize.notification_endpoint e SET removed_at = now(), enabled = false, secret = NULL, former_secret = NULL, former_until = NULL,
       revision = e.revision + 1
 WHERE e.id = :id;

-- name: schedules(id, after, count)
SELECT s.id, s.name, s.starts_at, s.shift_hours, s.revision, s.created_at, servitize.on_call(s.id, now()) AS on_call_now,
       ARRAY(SELECT m.endpoint_id FROM servitize.on_call_member m WHERE m.schedule_id = s.id ORDER BY m.position) AS members,
       coalesce((SELECT jsonb_agg(jsonb_build_object('from', o.from_at, 'to', o.until_at, 'endpoint', o.endpoint_id) ORDER BY o.from_at)
                   FROM servitize.on_call_override o WHERE o.schedule_id = s.id), '[]') AS overrides
  FROM servitize.on_call_schedule s
 WHERE s.removed_at IS NULL AND (:id::int IS NULL OR s.id = :id) AND (:after::int IS NULL OR s.id > :after)
 ORDER BY s.id LIMIT :count;

-- name: hold_schedule(id)$
SELECT s.revision FROM servitize.on_call_schedule s WHERE s.id = :id AND s.removed_at IS NULL FOR UPDATE;

-- name: add_schedule(name, starts_at, shift_hours)$
INSERT INTO servitize.on_call_schedule (name, starts_at, shift_hours) VALUES (:name, :starts_at, :shift_hours) RETURNING id;

-- name: change_schedule(id, name, starts_at, shift_hours)!
UPDATE servitize.on_call_schedule s SET name = :name, starts_at = :starts_at, shift_hours = :shift_hours, revision = s.revision + 1 WHERE s.id = :id;

-- name: remove_schedule(id)!
UPDATE servitize.on_call_schedule s SET removed_at = now(), revision = s.revision + 1 WHERE s.id = :id;

-- name: clear_schedule(id)!
WITH overrides AS (DELETE FROM servitize.on_call_override o WHERE o.schedule_id = :id)
DELETE FROM servitize.on_call_member m WHERE m.schedule_id = :id;

-- name: fill_schedule(id, members, overrides)!
WITH overridden AS (
    INSERT INTO servitize.on_call_override (schedule_id, from_at, until_at, endpoint_id)
    SELECT :id, o.f, o.t, o.endpoint FROM jsonb_to_recordset(:overrides::jsonb) AS o (f timestamptz, t timestamptz, endpoint int))
INSERT INTO servitize.on_call_member (schedule_id, position, endpoint_id)
SELECT :id, m.n - 1, m.endpoint FROM unnest(:members::int[]) WITH ORDINALITY AS m (endpoint, n);

-- name: subscriptions(id, after, count)
SELECT s.id, s.name, s.endpoint_id, s.schedule_id, s.equipment_id, e.key AS equipment, s.kinds, s.least_priority,
       to_char(s.quiet_from, 'HH24:MI') AS quiet_from, to_char(s.quiet_to, 'HH24:MI') AS quiet_to, s.timezone, s.break_through,
       s.digest_minutes, s.enabled, s.revision, s.created_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('stage', x.stage, 'priority', x.priority, 'after_minutes', x.after_minutes,
                                                     'endpoint', x.endpoint_id, 'schedule', x.schedule_id) ORDER BY x.stage, x.priority)
                   FROM servitize.escalation_step x WHERE x.subscription_id = s.id), '[]') AS escalation
  FROM servitize.subscription s
  LEFT JOIN servitize.equipment e ON e.id = s.equipment_id
 WHERE s.removed_at IS NULL AND (:id::int IS NULL OR s.id = :id) AND (:after::int IS NULL OR s.id > :after)
 ORDER BY s.id LIMIT :count;

-- name: hold_subscription(id)$
SELECT s.revision FROM servitize.subscription s WHERE s.id = :id AND s.removed_at IS NULL FOR UPDATE;

-- name: add_subscription(name, endpoint, schedule, equipment, kinds, least_priority, quiet_from, quiet_to, timezone, break_through, digest_minutes, enabled)$
INSERT INTO servitize.subscription
    (name, endpoint_id, schedule_id, equipment_id, kinds, least_priority, quiet_from, quiet_to, timezone, break_through, digest_minutes, enabled)
VALUES (:name, :endpoint, :schedule, :equipment, :kinds, :least_priority, :quiet_from::time, :quiet_to::time, :timezone, :break_through,
        :digest_minutes, :enabled)
RETURNING id;

-- name: change_subscription(id, name, endpoint, schedule, equipment, kinds, least_priority, quiet_from, quiet_to, timezone, break_through, digest_minutes, enabled)!
UPDATE servitize.subscription s
   SET name = :name, endpoint_id = :endpoint, schedule_id = :schedule, equipment_id = :equipment, kinds = :kinds, least_priority = :least_priority,
       quiet_from = :quiet_from::time, quiet_to = :quiet_to::time, timezone = :timezone, break_through = :break_through,
       digest_minutes = :digest_minutes, enabled = :enabled, revision = s.revision + 1
 WHERE s.id = :id;

-- name: remove_subscription(id)!
UPDATE servitize.subscription s SET removed_at = now(), enabled = false, revision = s.revision + 1 WHERE s.id = :id;

-- name: clear_escalation(id)!
DELETE FROM servitize.escalation_step x WHERE x.subscription_id = :id;

-- name: fill_escalation(id, steps)!
INSERT INTO servitize.escalation_step (subscription_id, stage, priority, after_minutes, endpoint_id, schedule_id)
SELECT :id, x.stage, x.priority, x.after_minutes, x.endpoint, x.schedule
  FROM jsonb_to_recordset(:steps::jsonb) AS x (stage int, priority text, after_minutes int, endpoint int, schedule int);

-- name: deliveries(id, state, subscription, endpoint, equipment, after, count)
-- Newest first.
SELECT d.id, d.subscription_id, s.name AS subscription, d.endpoint_id, e.name AS endpoint, d.seq, d.stage, d.kind, d.subject, d.priority, d.state,
       d.attempts, d.round, d.due_at, d.created_at, d.settled_at, d.last_status, d.last_error, d.digest,
       'msg_' || coalesce(d.batch, d.id) || '_' || d.round AS message_id, d.payload
  FROM servitize.delivery d
  JOIN servitize.subscription s ON s.id = d.subscription_id
  JOIN servitize.notification_endpoint e ON e.id = d.endpoint_id
 WHERE (:id::bigint IS NULL OR d.id = :id) AND (:state::text IS NULL OR d.state = :state)
   AND (:subscription::int IS NULL OR d.subscription_id = :subscription) AND (:endpoint::int IS NULL OR d.endpoint_id = :endpoint)
   AND (:equipment::int IS NULL OR (d.payload->>'equipment_id') = :equipment::text)
   AND (:after::bigint IS NULL OR d.id < :after)
 ORDER BY d.id DESC LIMIT :count;

-- name: delivery_attempts(delivery)
SELECT a.at, a.event, a.from_state, a.to_state, a.attempt, a.status, a.detail
  FROM servitize.delivery_attempt a WHERE a.delivery_id = :delivery ORDER BY a.id;

-- name: replay_delivery(delivery)^
SELECT servitize.replay_delivery(:delivery::bigint, now());
