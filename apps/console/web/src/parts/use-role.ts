import { useQuery } from "@tanstack/react-query";
import { meQuery } from "../app/query-client.ts";

/** Whether who is signed in may write: the server asks, too. */
export function useMayOperate(): boolean {
  const { data: me } = useQuery(meQuery);
  return me?.role === "operator" || me?.role === "admin";
}
