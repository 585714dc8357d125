// pose_data.json. docs/pose-data.md explains every key.

export type Vector = [x: number, y: number, z: number];

export interface Landmark {
  /** Shares of the width and height of the upright picture. */
  x: number;
  y: number;
  z: number;
  visibility: number;
  presence: number;
  /** Metres from the middle of the hips. */
  world: Vector;
  /** Metres in the scene; only with `height_m`. */
  metric?: Vector;
  /** x, y and z before the filter `offline`. */
  raw?: Vector;
  filled?: boolean;
}

export interface Person {
  person_id: number;
  strategy: string;
  track_id: number;
  /** Whether the pose is interpolated by the filter `offline`. */
  filled: boolean;
  /** In the order of `landmark_names`. */
  landmarks: Landmark[];
}

export interface Frame {
  frame_id: number;
  time_s: number;
  /** Whether person 0 is detected. */
  detected: boolean;
  strategy: string | null;
  source_time_s: number;
  people: Person[];
}

export interface PoseData {
  schema_version: 1;
  video: { width: number; height: number; frame_rate: [number, number] | null; duration_s: number | null };
  landmark_names: string[];
  connections: [from: number, to: number][];
  frames: Frame[];
  statistics: Record<string, number>;
  warnings: { code: string; sentence: string }[];
}
