-- name: commands(id, equipment, state, open, after, count)
-- Newest first.
SELECT c.id, c.equipment_id, e.key AS equipment_key, e.name AS equipment_name, c.key, c.title, c.class, c.parameters, c.state, c.approvals,
       c.needed, c.requested_by, c.requested_at, c.reason, c.expires_at, c.dispatched_at, c.blocked, c.result, c.changed_at
  FROM servitize.command c JOIN servitize.equipment e ON e.id = c.equipment_id
 WHERE (:id::bigint IS NULL OR c.id = :id)
   AND (:equipment::int IS NULL OR c.equipment_id = :equipment)
   AND (:state::text[] IS NULL OR c.state = ANY (:state))
   AND (:open::boolean IS NULL OR (c.state IN ('requested', 'approved', 'sent', 'delivered', 'executing')) = :open)
   AND (:after::bigint IS NULL OR c.id < :after)
 ORDER BY c.id DESC
 LIMIT :count;

-- name: command_steps(command, after, count)
SELECT s.id, s.at, s.event, s.actor, s.from_state, s.to_state, s.note, s.detail FROM servitize.command_step s
 WHERE s.command_id = :command AND (:after::bigint IS NULL OR s.id > :after) ORDER BY s.id LIMIT :count;

-- name: command_situation(equipment)^
SELECT servitize.to_us(servitize.timeline_now()) AS now_us,
       (SELECT coalesce(jsonb_object_agg(l.key, jsonb_build_array(CASE WHEN l.value = 'NaN' OR abs(l.value) = 'Infinity' THEN NULL ELSE l.value END,
                                                                  servitize.to_us(l.ts), l.quality)), '{}')
          FROM servitize.latest_visible l WHERE l.equipment_id = :equipment::int) AS points,
       (SELECT jsonb_build_array(c.state, servitize.to_us(c.at)) FROM servitize.state_change c
         WHERE c.equipment_id = :equipment ORDER BY c.at DESC LIMIT 1) AS state,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(a.component, a.priority)), '[]') FROM servitize.alarm a
         WHERE a.equipment_id = :equipment AND a.active AND a.concern = 'machine') AS alarms;

-- name: request_command(equipment, key, title, of_class, parameters, conditions, needed, valid_us, against, why, who)$
SELECT servitize.request_command(:equipment::int, :key::text, :title::text, :of_class::text, :parameters::jsonb, :conditions::jsonb,
                                 :needed::int, :valid_us::bigint * interval '1 microsecond', :against::text, :why::text, :who::text);

-- name: approve_command(command, why, who)$
SELECT servitize.approve_command(:command::bigint, :why::text, :who::text);

-- name: cancel_command(command, why, who)$
SELECT servitize.cancel_command(:command::bigint, :why::text, :who::text);

-- name: inhibits(id, standing, after, count)
SELECT i.id, e.key AS equipment, i.reason, i.set_at, i.set_by, i.lifted_at, i.lifted_by
  FROM servitize.emergency_inhibit i LEFT JOIN servitize.equipment e ON e.id = i.equipment_id
 WHERE (:id::int IS NULL OR i.id = :id) AND (:standing::boolean IS NULL OR (i.lifted_at IS NULL) = :standing)
   AND (:after::int IS NULL OR i.id > :after)
 ORDER BY i.id LIMIT :count;

-- name: set_inhibit(equipment, why, who)$
SELECT servitize.set_inhibit(:equipment::int, :why::text, :who::text);

-- name: lift_inhibit(inhibit, who)^
SELECT servitize.lift_inhibit(:inhibit::int, :who::text);

-- name: give_permit(equipment, until, why, who)$
SELECT servitize.give_permit(:equipment::int, :until::timestamptz, :why::text, :who::text);

-- name: twin(equipment)
SELECT t.key, t.desired, t.desired_version, t.desired_at, t.desired_by, t.reported, t.reported_version, t.reported_at,
       t.desired_version > 0 AND t.desired IS DISTINCT FROM t.reported AS drifts
  FROM servitize.twin_property t WHERE t.equipment_id = :equipment ORDER BY t.key;

-- name: desire(equipment, key, wanted, expected, who)$
SELECT servitize.desire(:equipment::int, :key::text, :wanted::jsonb, :expected::int, :who::text);
