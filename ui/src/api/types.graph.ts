// The graph's answer as the generator will write it into types.gen.ts, from whose document the path is still missing.
// Once it is there this file goes, and shapes.ts takes the three names from types.gen.ts.

/** Who calls whom in a window. */
export interface GraphAnswer {
  /** Calls between nodes. */
  edges: GraphEdge[];
  /** The window's beginning, rounded outward to a whole minute. */
  from_ns: string;
  /** Everything that calls or is called. */
  nodes: GraphNode[];
  /** True: not everything of the window is in it. */
  partial?: boolean;
  /** Why it is not everything. */
  partial_reason?: string | null;
  /** Up to where minutes are rolled up. */
  rolled_to_ns?: string | null;
  /** The window's end, rounded outward to a whole minute. */
  to_ns: string;
}

/** Calls from one node to another. */
export interface GraphEdge {
  /** How: rpc, messaging, database, external. */
  connection_type: string;
  /** Failed calls. */
  errors: number;
  p50_ns: string;
  p95_ns: string;
  p99_ns: string;
  /** Calls. */
  requests: number;
  /** Id of the node that calls. */
  source: string;
  /** Id of the node that is called. */
  target: string;
}

/** A service, or a peer without spans of its own. */
export interface GraphNode {
  /** Failed requests. */
  errors: number;
  /** Such as `service:checkout`. */
  id: string;
  kind: "service" | "database" | "messaging" | "external" | "user";
  name: string;
  p50_ns: string;
  p95_ns: string;
  p99_ns: string;
  /** Requests that entered it. */
  requests: number;
  /** Spans without a partner, by reason. */
  unpaired: Record<string, number>;
  /** Layer, along the calls. */
  x: number;
  /** Place within the layer. */
  y: number;
}
