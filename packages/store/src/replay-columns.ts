/** The replay that an id names, as handlers see it: an expression of SQL. */
export const replayAs = (id: string): string => `
  (SELECT jsonb_strip_nulls(jsonb_build_object('id', r.id, 'reason', r.reason)) FROM penstock.replays r WHERE r.id = ${id})`;

/** The id of the replay of a delivery `d`, be it of its own or of the event that was made for one. */
export const REPLAY_ID_OF_DELIVERY =
  "coalesce(d.replay_id, (SELECT e.replay_id FROM penstock.events e WHERE e.day = d.day AND e.seq = d.seq))";

/** That replay as handlers see it. */
export const REPLAY_OF_DELIVERY = replayAs(REPLAY_ID_OF_DELIVERY);
