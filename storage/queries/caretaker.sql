-- name: listen()!
LISTEN servitize_outbox_new;

-- name: sequence_outbox()$
SELECT servitize.sequence_outbox();

-- name: expire_shelves(now)$
SELECT servitize.expire_shelves(:now);

-- name: maintain_partitions()$
SELECT servitize.maintain_partitions();

-- name: prune_outbox(before)!
DELETE FROM servitize.outbox WHERE seq IS NOT NULL AND created_at < :before;

-- name: operate(alarm_id, command, actor, reason, until)^
SELECT from_state, to_state, announced FROM servitize.operate_alarm(:alarm_id, :command, :actor, :reason, :until);

-- name: next_rollup_generation()!
SELECT servitize.next_rollup_generation();

-- name: roll_up(at_most, everything)$
SELECT servitize.roll_up(:at_most::int, :everything::boolean);

-- name: rollup_backlog()^
SELECT hours, servitize.to_us(since) FROM servitize.rollup_backlog();
