// Relative base: the same files work under any prefix. Nothing is inlined, because the server's CSP is `default-src 'self'`.
import { defineConfig } from "vite";

const target = "http://127.0.0.1:7700";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
  },
  server: { proxy: { "/api": target, "/ready": target } },
});
