/** From a window chosen on any page to the fault report about it. */
import { link, params } from "../state/url";
import { Icon } from "./icons";

export function Guilty({ short = false }: { short?: boolean }) {
  const p = params.value;
  return <a class="btn guilty" href={link("fault", { from: p.get("from"), to: p.get("to") })} title="The fault report about this time range (g f)"><Icon name="target" size={14} />{short ? "Who is guilty?" : "Who is guilty in this window?"}</a>;
}
