/** The few signs the pages use: 16 pixels, drawn with the colour of the text around them. */
export const PATHS = {
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.8V8l2.2 1.6",
  copy: "M5.5 5.5V3.2c0-.4.3-.7.7-.7h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7h-2.3M3.2 5.5h6.6c.4 0 .7.3.7.7v6.6c0 .4-.3.7-.7.7H3.2a.7.7 0 0 1-.7-.7V6.2c0-.4.3-.7.7-.7Z",
  check: "M3 8.5 6.5 12 13 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1.1 1.1M11.9 11.9 13 13M13 3l-1.1 1.1M4.1 11.9 3 13",
  moon: "M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z",
  auto: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 2v12M10 3v10M12 4.7v6.6",
  help: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM6.3 6.3a1.7 1.7 0 1 1 2.5 1.5c-.5.3-.8.6-.8 1.2M8 11.2v.1",
  refresh: "M13.5 8A5.5 5.5 0 1 1 11.8 4M13.5 2v3h-3",
  left: "M10 3 5 8l5 5",
  down: "M3.5 6 8 10.5 12.5 6",
  link: "M6.5 9.5a3 3 0 0 0 4.2 0l2-2a3 3 0 0 0-4.2-4.2l-.8.8M9.5 6.5a3 3 0 0 0-4.2 0l-2 2a3 3 0 0 0 4.2 4.2l.8-.8",
  plus: "M8 3v10M3 8h10",
  lines: "M2.5 4h11M2.5 8h11M2.5 12h7",
  inbox: "M2.5 9.5 4.3 3.6c.1-.4.4-.6.8-.6h5.8c.4 0 .7.2.8.6l1.8 5.9v3c0 .5-.4 1-1 1h-9a1 1 0 0 1-1-1v-3Zm0 0h3.3l.7 1.5h3l.7-1.5h3.3",
  alert: "M8 2 1.8 13h12.4L8 2Zm0 4.5v3M8 11.4v.1",
  service: "M8 1.8 13.4 5v6L8 14.2 2.6 11V5L8 1.8ZM2.6 5 8 8l5.4-3M8 8v6.2",
  database: "M3 4c0-1.2 2.2-2 5-2s5 .8 5 2-2.2 2-5 2-5-.8-5-2Zm0 0v8c0 1.2 2.2 2 5 2s5-.8 5-2V4M3 8c0 1.2 2.2 2 5 2s5-.8 5-2",
  messaging: "M2 4.5h3.2v7H2Zm4.4 0h3.2v7H6.4Zm4.4 0H14v7h-3.2Z",
  external: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM2 8h12M8 2c2 1.7 2.8 3.7 2.8 6S10 12.3 8 14M8 2C6 3.7 5.2 5.7 5.2 8S6 12.3 8 14",
  user: "M8 7.8a2.9 2.9 0 1 0 0-5.8 2.9 2.9 0 0 0 0 5.8ZM2.6 14c.4-2.7 2.6-4.2 5.4-4.2s5 1.5 5.4 4.2",
  graph: "M3.5 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12.5 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12.5 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.3 7.2l5.4-2.4M5.3 8.8l5.4 2.4",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  minus: "M3 8h10",
  target: "M8 13.5A5.5 5.5 0 1 0 8 2.5a5.5 5.5 0 0 0 0 11ZM8 1v4M8 11v4M1 8h4M11 8h4",
  print: "M4.5 5.5V2h7v3.5M4.5 11.5H2.2V5.5h11.6v6h-2.3M4.5 9.5h7V14h-7Z",
  right: "M6 3l5 5-5 5",
};

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width={size > 20 ? 0.9 : 1.4} stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
