// The options of a job. docs/options.md explains them.

export type Format =
  | "video" | "csv" | "json" | "thumbnail" | "preview" | "metadata" | "openpose" | "trc" | "parquet"
  | "angles" | "clean" | "c3d" | "mot" | "coco" | "ndjson" | "bvh" | "glb" | "people" | "default" | "all";

/** What a job can be told. The service uses its defaults for what is not given. */
export interface Options {
  mode?: "track" | "static" | "ultra_fast" | "fast" | "smart" | "quality";
  model?: "lite" | "full" | "heavy";
  interval?: number;
  fps?: number;
  max_people?: number;
  person?: string | number;
  filter?: "none" | "live" | "offline";
  smoothing?: "on" | "off";
  low_pass?: "butterworth" | "savitzky_golay";
  formats?: Format | readonly Format[];
  background?: "video" | "skeleton" | "skeleton_white";
  blur?: "none" | "faces";
  start?: number;
  end?: number;
  crop?: string | readonly number[];
  slow_motion?: number;
  height_m?: number;
  webhook_url?: string;
}

/** The options as the service reads them: lists become values separated by commas. */
export function asTexts(options: Options): [name: string, value: string][] {
  return Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)]);
}
