-- name: sequence()$
SELECT servitize.sequence_outbox();

-- name: expire_shelves()$
SELECT servitize.expire_due_shelves();

-- name: listen_to_new()!
LISTEN servitize_outbox_new;

-- name: listen_to_numbered()!
LISTEN servitize_outbox;

-- name: stream_bounds()^
-- The last number given, and the oldest the outbox still keeps, whoever may see it.
SELECT b.head, b.oldest FROM servitize.outbox_bounds() b;

-- name: stream_events(after, upto, count)
SELECT o.seq, o.kind, o.payload, o.created_at
  FROM servitize.outbox o
 WHERE o.seq > :after AND o.seq <= :upto
 ORDER BY o.seq
 LIMIT :count;

-- name: commit_age()$
SELECT servitize.commit_age();

-- name: platform_figures()
SELECT f.name, f.help, f.type, f.labels, f.value FROM servitize.platform_figures() f;
