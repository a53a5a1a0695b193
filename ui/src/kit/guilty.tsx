/** From a window chosen on any page to the fault report about it. */
import { link, params } from "../state/url";
import { Icon } from "./icons";

export function Guilty() {
  const p = params.value;
  return <a class="btn guilty" href={link("fault", { from: p.get("from"), to: p.get("to") })} title="The fault report about this time range (g f)"><Icon name="target" size={14} />Who is guilty in this window?</a>;
}
