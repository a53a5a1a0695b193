/** A service as it looks everywhere: its colour and its name. */
import { serviceColor } from "../draw/color";
import { isDark } from "../state/prefs";

export function Dot({ service }: { service: string }) {
  return <i class="dot" style={{ "--c": serviceColor(service, isDark.value) }} title={service} />;
}

export function ServiceName({ name }: { name: string }) {
  return (
    <span class="row svc" title={name}>
      <Dot service={name} />
      <span class="cut">{name || "no service name"}</span>
    </span>
  );
}
