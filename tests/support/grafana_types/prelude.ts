// What our dashboards are held against: Grafana's published types, with enums written as the words that JSON has.
import type { AnnotationQuery, Dashboard, DataSourceRef, Panel } from '@grafana/schema';
import type * as BarChart from '@grafana/schema/dist/esm/raw/composable/barchart/panelcfg/x/BarChartPanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as StateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as StatusHistory from '@grafana/schema/dist/esm/raw/composable/statushistory/panelcfg/x/StatusHistoryPanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type * as XYChart from '@grafana/schema/dist/esm/raw/composable/xychart/panelcfg/x/XYChartPanelCfg_types.gen';

export type Json<T> = T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Json<Item>[]
  : T extends object ? { [Key in keyof T]: Json<T[Key]> }
  : T;

// What the PostgreSQL data source wants (its types are not published).
interface SqlQuery {
  refId: string;
  datasource: DataSourceRef;
  editorMode: 'builder' | 'code';
  format: 'table' | 'time_series';
  rawQuery: boolean;
  rawSql: string;
}

// Options may leave out what has a default.
type Deep<T> = T extends readonly (infer Item)[] ? Deep<Item>[] : T extends object ? { [Key in keyof T]?: Deep<T[Key]> } : T;
type Of<Options, Custom = {}> = Json<
  Omit<Panel<Deep<Options>, Deep<Custom>>, 'type' | 'targets' | 'options'> & { targets: SqlQuery[]; options?: Deep<Options> }
>;

export type Board = Json<Omit<Dashboard, 'annotations'>> & { annotations?: { list?: Json<AnnotationQuery<SqlQuery>>[] } };
export type Panels = {
  barchart: Of<BarChart.Options, BarChart.FieldConfig>;
  stat: Of<Stat.Options>;
  'state-timeline': Of<StateTimeline.Options, StateTimeline.FieldConfig>;
  'status-history': Of<StatusHistory.Options, StatusHistory.FieldConfig>;
  table: Of<Table.Options, Table.FieldConfig>;
  timeseries: Of<TimeSeries.Options, TimeSeries.FieldConfig>;
  xychart: Of<XYChart.Options, XYChart.FieldConfig>;
};
