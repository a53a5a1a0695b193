/**
 * Colours that carry meaning. A service's colour follows from its name alone, so it is the same on every page and
 * for every person; red is left out of that palette, because red means error and nothing else.
 */

/** Hues in degrees (OKLCH), spaced to be told apart; none near the error red (25) or the warning amber (80). */
const HUES = [105, 120, 135, 150, 166, 182, 198, 215, 232, 248, 264, 280, 296, 312, 328];

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  // A last mix, so that names with equal endings do not land on equal hues.
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

export function serviceColor(name: string, dark: boolean): string {
  const key = (dark ? "d" : "l") + name;
  let color = cache.get(key);
  if (!color) {
    const h = hash(name);
    const deep = (h >>> 8) & 1;
    color = name === "" ? (dark ? "#7d8590" : "#8a929c") : oklch(dark ? (deep ? 0.68 : 0.78) : deep ? 0.52 : 0.63, deep ? 0.13 : 0.115, HUES[h % HUES.length]!);
    cache.set(key, color);
  }
  return color;
}

const cache = new Map<string, string>();

/** OKLCH to `#rrggbb`, clipped to sRGB. */
export function oklch(l: number, c: number, hue: number): string {
  const a = c * Math.cos((hue * Math.PI) / 180);
  const b = c * Math.sin((hue * Math.PI) / 180);
  const [l3, m3, s3] = [(l + 0.3963377774 * a + 0.2158037573 * b) ** 3, (l - 0.1055613458 * a - 0.0638541728 * b) ** 3, (l - 0.0894841775 * a - 1.291485548 * b) ** 3];
  const linear = [
    4.0767416621 * l3 - 3.3077115913 * m3 + 0.2309699292 * s3,
    -1.2684380046 * l3 + 2.6097574011 * m3 - 0.3413193965 * s3,
    -0.0041960863 * l3 - 0.7034186147 * m3 + 1.707614701 * s3,
  ];
  const byte = (x: number) => {
    const v = x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055;
    return Math.round(Math.min(1, Math.max(0, v)) * 255).toString(16).padStart(2, "0");
  };
  return `#${linear.map(byte).join("")}`;
}

/** The six steps every log severity belongs to, weakest first; `unset` for lines that carry none. */
export const SEVERITIES = ["unset", "trace", "debug", "info", "warn", "error", "fatal"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** By OpenTelemetry's number where there is one, else by the sender's word. */
export function severityOf(number: number, text = ""): Severity {
  if (number >= 1 && number <= 24) return SEVERITIES[1 + Math.floor((number - 1) / 4)]!;
  const t = text.toLowerCase();
  if (/^(fatal|crit|panic|emerg|alert)/.test(t)) return "fatal";
  if (/^err/.test(t)) return "error";
  if (/^warn/.test(t)) return "warn";
  if (/^(info|notice)/.test(t)) return "info";
  if (/^(debug|fine|verbose)/.test(t)) return "debug";
  if (/^trace/.test(t)) return "trace";
  return "unset";
}
