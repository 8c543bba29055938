-- For who holds the broker (role servitize_writer).

-- name: listen_to_commands()!
LISTEN servitize_command;

-- name: listen_to_twins()!
LISTEN servitize_twin;

-- name: to_send()
SELECT c.id, c.equipment_id, c.tenant, c.equipment, c.key, c.class, c.parameters, c.interlocks, c.expires_us, c.dispatched, c.now_us
  FROM servitize.commands_to_send() c;

-- name: situation(equipment)^
SELECT (SELECT coalesce(jsonb_object_agg(p.key, jsonb_build_array(CASE WHEN l.value = 'NaN' OR abs(l.value) = 'Infinity' THEN NULL ELSE l.value END,
                                                                  servitize.to_us(l.ts), l.quality)), '{}')
          FROM servitize.point p JOIN servitize.latest_reading l ON l.point_id = p.id WHERE p.equipment_id = :equipment::int) AS points,
       (SELECT jsonb_build_array(c.state, servitize.to_us(c.at)) FROM servitize.state_change c
         WHERE c.equipment_id = :equipment ORDER BY c.at DESC LIMIT 1) AS state,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(a.component, a.priority)), '[]') FROM servitize.alarm a
         WHERE a.equipment_id = :equipment AND a.active AND a.concern = 'machine') AS alarms;

-- name: dispatch(command, against)$
SELECT servitize.dispatch_command(:command::bigint, :against::text);

-- name: acknowledged(command)$
SELECT servitize.apply_command_event(:command::bigint, 'acknowledged', 'broker', 'the broker has it');

-- name: receipt(command, whose, machine, happened, said, facts)$
SELECT servitize.take_receipt(:command::bigint, :whose::text, :machine::text, :happened::text, :said::text, :facts::jsonb);

-- name: expire()$
SELECT servitize.expire_commands();

-- name: reported(whose, machine, given, versions)$
SELECT servitize.take_reported(:whose::text, :machine::text, :given::jsonb, :versions::jsonb);

-- name: desired_of(equipment)
SELECT t.slug, e.key, p.key AS property, p.desired, p.desired_version
  FROM servitize.twin_property p JOIN servitize.equipment e ON e.id = p.equipment_id JOIN servitize.tenant t ON t.id = e.tenant_id
 WHERE p.equipment_id = :equipment::int AND p.desired_version > 0 ORDER BY p.key;

-- name: advance_rollouts()$
SELECT servitize.advance_rollouts();

-- name: run_inspections()$
SELECT servitize.run_inspections();
