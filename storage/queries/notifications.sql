-- What the deliverer of notifications asks, as the writer role. Times are the deliverer's clock.

-- name: listen()!
LISTEN servitize_outbox;

-- name: fan_out(at, at_most)$
SELECT servitize.fan_out(:at, :at_most::int);

-- name: escalate(at, at_most)$
SELECT servitize.escalate(:at, :at_most::int);

-- name: take(at, lease, at_most)
SELECT batch, delivery_ids, round, attempt, endpoint_id, tenant, kind, address, secret, former_secret, events
  FROM servitize.take_deliveries(:at, :lease, :at_most::int);

-- name: finish(ids, happened, at, lease, next_due, status, said)$
SELECT servitize.finish_deliveries(:ids::bigint[], :happened, :at, :lease, :next_due, :status::int, :said);

-- name: disable_endpoint(endpoint, why)!
SELECT servitize.disable_endpoint(:endpoint::int, :why);

-- name: next_due()$
-- When something is to be done by the clock alone; NULL: nothing is waiting.
SELECT least((SELECT min(d.due_at) FROM servitize.delivery d WHERE d.state = 'pending'),
             (SELECT min(d.lease_until) FROM servitize.delivery d WHERE d.state = 'sending'),
             (SELECT min(t.due_at) FROM servitize.escalation_timer t WHERE t.done_at IS NULL));

-- name: prune(before)$
SELECT servitize.prune_deliveries(:before);
